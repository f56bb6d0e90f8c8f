//! `cluster status` and `cluster list`.

use std::time::Duration;

use api::raft::{StoreMember, StoreMembers, StoreRole, StoreStatus};
use indicatif::HumanBytes;

use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint};

/// A member that has been silent for longer is shown as bad. The leader speaks to each several times a second.
const SILENT: Duration = Duration::from_secs(2);

pub(super) async fn status(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let answer = client.send(&Request::get("/cluster/status")).await?;
    let (body, status) = answer.json::<StoreStatus>().await?;
    let exit = if status.quorum { Exit::Ok } else { Exit::Unavailable };
    if output.is_json() {
        output.json(&body)?;
        return Ok(exit);
    }
    // Programs read the table; the lines before it are for people, and in the JSON.
    if output.is_for_people() {
        for (name, value) in facts(&status) {
            output.line(format_args!("{name:<12} {value}"))?;
        }
    }
    output.table(&table(&status.members))?;
    if let Some(trouble) = &status.trouble {
        output.complain(&anyhow::anyhow!("{trouble}"));
    }
    Ok(exit)
}

pub(super) async fn list(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let answer = client.send(&Request::get("/cluster/members")).await?;
    let (body, listed) = answer.json::<StoreMembers>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&table(&listed.members))?;
    }
    Ok(Exit::Ok)
}

/// The store in lines of name and value.
fn facts(status: &StoreStatus) -> Vec<(&'static str, String)> {
    let quota = status
        .quota
        .map(|quota| format!(" of {}", HumanBytes(quota)))
        .unwrap_or_default();
    let size = match status.kv_bytes {
        Some(kv) => format!("{}; /kv {}{quota}", HumanBytes(status.db_bytes), HumanBytes(kv)),
        None => format!("{}{quota}", HumanBytes(status.db_bytes)),
    };
    let snapshot = status.snapshot.map(|index| format!(", snapshot {index}")).unwrap_or_default();
    let disk = if status.disk_full { ", its disk is full" } else { "" };
    vec![
        ("engine", status.engine.as_str().to_owned()),
        ("cluster", status.cluster_id.clone()),
        ("leader", status.leader.clone().unwrap_or_else(|| "none".to_owned())),
        ("term", status.term.to_string()),
        ("majority", if status.quorum { "yes" } else { "no" }.to_owned()),
        (
            "log",
            format!("committed {}, applied {}{snapshot}", status.committed, status.applied),
        ),
        ("revision", status.revision.to_string()),
        ("size", size),
        ("answered by", format!("{}{disk}", status.answered_by)),
    ]
}

/// A line a member.
pub(super) fn table(members: &[StoreMember]) -> Table {
    let mut table = Table::new(["MEMBER", "ROLE", "ADDRESS", ">MATCHED", ">LAG", "STATE", "ID"]);
    let led = members.iter().any(|member| member.role == StoreRole::Leader);
    for member in members {
        let role = match member.role {
            StoreRole::Leader => Cell::tinted("leader", Tint::Good),
            StoreRole::Voter => "voter".into(),
            StoreRole::Learner => Cell::tinted("learner", Tint::Busy),
        };
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        table.row([
            Cell::from(&member.name),
            role,
            (&member.address).into(),
            number(member.matched).into(),
            number(member.lag).into(),
            state(member, led),
            (&member.id).into(),
        ]);
    }
    table
}

/// `led`: whether somebody leads, who would know.
fn state(member: &StoreMember, led: bool) -> Cell {
    let silent = member.silent_ms.map(Duration::from_millis).filter(|silent| *silent > SILENT);
    match (member.disk_full, silent) {
        (true, _) => Cell::tinted("disk full", Tint::Bad),
        (false, Some(silent)) => {
            let whole = Duration::from_secs(silent.as_secs());
            Cell::tinted(format!("silent for {}", humantime::format_duration(whole)), Tint::Bad)
        }
        (false, None) if member.matched.is_none() && led => Cell::tinted("no answer", Tint::Bad),
        (false, None) if member.matched.is_none() => Cell::tinted("unknown", Tint::Busy),
        (false, None) => Cell::tinted("ok", Tint::Good),
    }
}
