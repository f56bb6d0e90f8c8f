//! `cluster restore`: a new directory for a master, from a saved control store. Asks no server.

use std::path::PathBuf;

use clap::Args;
use control::raft::{InitialMember, RestoreRequest, Restored, restore};

use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Arguments of `cluster restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// What `cluster snapshot` saved.
    file: PathBuf,
    /// `RAFT_DIR` of the master; empty, or not there yet.
    #[arg(long, value_name = "DIR")]
    raft_dir: PathBuf,
    /// `NODE_ID` of the master.
    #[arg(long, value_name = "NAME")]
    node_id: String,
    /// `HOST:PORT` of its private listener, as the other masters reach it; needed only without --initial-cluster.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    address: String,
    /// `RAFT_INITIAL_CLUSTER` of all masters; without it the cluster begins with this one alone.
    #[arg(long, value_name = "NAME=HOST:PORT,...", default_value = "")]
    initial_cluster: String,
}

pub(super) async fn run(arguments: RestoreArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let RestoreArgs {
        file,
        raft_dir,
        node_id,
        address,
        initial_cluster,
    } = arguments;
    let node = api::NodeId::try_new(node_id).map_err(|error| UsageError(error.to_string()))?;
    let initial = InitialMember::parse_list(&initial_cluster).map_err(|error| UsageError(error.to_string()))?;
    let own = initial.iter().find(|member| member.name == node.as_str());
    if !initial.is_empty() && own.is_none() {
        return Err(UsageError(format!("--initial-cluster does not name {node} (--node-id)")).into());
    }
    let restored = restore(&RestoreRequest {
        file,
        dir: raft_dir.clone(),
        name: node.to_string(),
        address: own.map_or(address, |member| member.address.clone()),
        initial_cluster: initial,
    })
    .await
    .map_err(refused)?;
    tell(&restored, &raft_dir.display().to_string(), node.as_str(), output)
}

/// A wrong file or directory is for the caller to mend.
fn refused(error: control::Error) -> anyhow::Error {
    match error {
        control::Error::Invalid(reason) | control::Error::Conflict(reason) => UsageError(reason).into(),
        control::Error::Damaged(reason) => UsageError(format!("this is no whole snapshot: {reason}")).into(),
        other => other.into(),
    }
}

fn tell(restored: &Restored, directory: &str, node: &str, output: &mut Output) -> anyhow::Result<Exit> {
    let Restored {
        revision,
        keys,
        cluster_id,
        members,
    } = restored;
    if output.is_json() {
        let told = serde_json::json!({ "revision": revision, "keys": keys, "cluster_id": cluster_id, "members": members });
        output.json(told.to_string().as_bytes())?;
        return Ok(Exit::Ok);
    }
    output.line(format_args!(
        "restored {directory}: revision {revision}, {keys} keys, as a new cluster, {cluster_id}"
    ))?;
    let others: Vec<&str> = members.iter().map(String::as_str).filter(|member| *member != node).collect();
    if others.is_empty() {
        output.line(format_args!(
            "start {node}; it leads alone, others are added with `elasticore cluster add`"
        ))?;
    } else {
        output.line(format_args!(
            "start {node}, and {} with empty directories and the same RAFT_INITIAL_CLUSTER: they fetch the data",
            others.join(", ")
        ))?;
    }
    Ok(Exit::Ok)
}
