//! Waiting until the stack works: asked through its own front door, as a client sees it.

use std::time::Duration;

use api::member::Role;

use super::UpArgs;
use super::stack::Stack;
use crate::client::Client;
use crate::commands::nodes::{self, Nodes};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Returns when there is a leader, and every node is registered and at work; `missing` is told what is awaited.
///
/// # Errors
/// When the address or the key is none.
pub(super) async fn wait(stack: &Stack, arguments: &UpArgs, missing: impl Fn(&str)) -> anyhow::Result<Nodes> {
    let client = Client::of(
        vec![stack.public().parse().map_err(anyhow::Error::msg)?],
        arguments.root_key().map(str::parse).transpose().map_err(anyhow::Error::msg)?,
        Duration::from_secs(5),
        false,
    )?;
    loop {
        let awaited = match ask(stack, arguments, &client).await {
            Ok(nodes) => return Ok(nodes),
            Err(awaited) => awaited,
        };
        missing(&awaited);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(stack: &Stack, arguments: &UpArgs, client: &Client) -> Result<Nodes, String> {
    if !stack.is_ready() {
        return Err("the master to know the cluster".to_owned());
    }
    let answered = async { client.send(&nodes::request()).await?.json::<Nodes>().await }.await;
    let (_, nodes) = answered.map_err(|error| format!("the public API ({error})"))?;
    match awaited(&nodes, arguments.auxiliaries, arguments.workers) {
        None => Ok(nodes),
        Some(awaited) => Err(awaited),
    }
}

/// What is missing, in words.
fn awaited(nodes: &Nodes, auxiliaries: u16, workers: u16) -> Option<String> {
    let registered = |name: &str| nodes.nodes.iter().find(|node| node.member.id.as_str() == name);
    if nodes.leader.is_none() {
        return Some("a leader".to_owned());
    }
    for (role, count) in [(Role::Auxiliary, auxiliaries), (Role::Worker, workers)] {
        for at in 1..=count {
            let name = format!("{role}-{at}");
            match registered(&name) {
                None => return Some(format!("{name} to register")),
                Some(node) if role == Role::Auxiliary && node.share.is_none() => {
                    return Some(format!("{name} to take its place in the ring"));
                }
                Some(_) => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nodes(leader: Option<&str>, members: &[(&str, &str, Option<f64>)]) -> Nodes {
        let member = |(id, role, share): &(&str, &str, Option<f64>)| json!({ "id": id, "role": role, "boot_id": "6b3cbe4c-3b6f-4c80-a1c6-6f2a5a3a8f10", "address": "a:1", "started_at_ms": 0, "version": "0", "share": share });
        serde_json::from_value(json!({ "leader": leader, "nodes": members.iter().map(member).collect::<Vec<_>>() })).unwrap()
    }

    #[test]
    fn what_is_missing_is_named() {
        let one = ("auxiliary-1", "auxiliary", Some(1.0));
        assert_eq!(awaited(&nodes(None, &[]), 1, 1).unwrap(), "a leader");
        assert_eq!(
            awaited(&nodes(Some("master-1"), &[one]), 1, 1).unwrap(),
            "worker-1 to register"
        );
        let absent = ("auxiliary-1", "auxiliary", None);
        assert_eq!(
            awaited(&nodes(Some("master-1"), &[absent]), 1, 1).unwrap(),
            "auxiliary-1 to take its place in the ring"
        );
        assert_eq!(
            awaited(&nodes(Some("master-1"), &[one, ("worker-1", "worker", None)]), 1, 1),
            None
        );
    }
}
