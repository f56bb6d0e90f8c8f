//! `cluster add`, `cluster remove` and `cluster transfer-leader`.

use std::time::Duration;

use api::raft::{AddMember, StoreMember, StoreMembers, StoreRole, TransferLeader, Transferred};
use clap::Args;

use super::show::table;
use crate::client::{Client, Error, Request, segment};
use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Pause between two looks at a new member.
const PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `cluster add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its `NODE_ID`.
    name: String,
    /// `HOST:PORT` of its private listener, as the other masters reach it.
    address: String,
    /// The CLUSTER_TOKEN of the cluster: a member gets to see everything.
    #[arg(long, env = "CLUSTER_TOKEN", hide_env_values = true, value_name = "SECRET")]
    cluster_token: Option<String>,
    /// Wait until it is a voter; start it meanwhile.
    #[arg(long)]
    wait: bool,
}

/// Arguments of `cluster remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The member.
    name: String,
}

/// Arguments of `cluster transfer-leader`.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// The voter that is to lead; whoever is furthest unless given.
    #[arg(value_name = "NAME")]
    to: Option<String>,
}

pub(super) async fn add(arguments: AddArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let AddArgs {
        name,
        address,
        cluster_token,
        wait,
    } = arguments;
    let Some(token) = cluster_token else {
        let said = "a new master gets to see everything: give the cluster's secret with --cluster-token or CLUSTER_TOKEN";
        return Err(UsageError(said.to_owned()).into());
    };
    let request = Request::post("/cluster/join")
        .header(api::headers::CLUSTER_TOKEN, Some(token))
        .json(&AddMember { name, address })?;
    let (mut body, mut member) = client.send(&request).await?.json::<StoreMember>().await?;
    if wait {
        member = until_voter(member, client, output).await?;
        body = serde_json::to_vec(&member)?.into();
    }
    if output.is_json() {
        output.json(&body)?;
    } else if output.is_for_people() && !wait {
        output.line(format_args!("{} has a place, as a {}", member.name, member.role.as_str()))?;
        let others = masters(&member.name, client).await.unwrap_or_default();
        output.line(format_args!(
            "start it with an empty RAFT_DIR, NODE_ID={} and RAFT_JOIN={others}; it becomes a voter by itself",
            member.name
        ))?;
    } else {
        output.table(&table(std::slice::from_ref(&member)))?;
    }
    Ok(Exit::Ok)
}

/// Looks at the new member until it votes.
async fn until_voter(added: StoreMember, client: &Client, output: &Output) -> Result<StoreMember, Error> {
    let mut told = false;
    loop {
        let member = members(client).await?.into_iter().find(|member| member.id == added.id);
        let Some(member) = member else {
            // Somebody removed it again.
            return Ok(added);
        };
        if member.role != StoreRole::Learner {
            return Ok(member);
        }
        if !std::mem::replace(&mut told, true) && output.is_for_people() {
            eprintln!("waiting for {} to catch up (Ctrl-C: it goes on by itself)", member.name);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn members(client: &Client) -> Result<Vec<StoreMember>, Error> {
    let answer = client.send(&Request::get("/cluster/members")).await?;
    Ok(answer.json::<StoreMembers>().await?.1.members)
}

/// Addresses of the members but one, as `RAFT_JOIN` takes them.
async fn masters(but: &str, client: &Client) -> Result<String, Error> {
    let members = members(client).await?;
    let others = members.into_iter().filter(|member| member.name != but);
    Ok(others.map(|member| member.address).collect::<Vec<_>>().join(","))
}

pub(super) async fn remove(RemoveArgs { name }: RemoveArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::delete(format!("/cluster/members/{}", segment(&name)));
    client.send(&request).await?;
    if output.is_json() {
        output.json(serde_json::json!({ "removed": name }).to_string().as_bytes())?;
    } else {
        output.line(format_args!(
            "removed {name}; its RAFT_DIR is of no use any more, and must be empty if it is to be added again"
        ))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn transfer_leader(
    TransferArgs { to }: TransferArgs,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let request = Request::post("/cluster/transfer-leader").json(&TransferLeader { to })?;
    let (body, transferred) = client.send(&request).await?.json::<Transferred>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.line(format_args!("{} leads", transferred.leader))?;
    }
    Ok(Exit::Ok)
}
