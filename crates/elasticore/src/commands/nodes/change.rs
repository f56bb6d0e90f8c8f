//! `nodes drain` and `nodes rebalance`: asked for, then waited for.

use std::time::Duration;

use api::Epoch;
use api::operations::RingChange;
use bytes::Bytes;
use clap::Args;
use tokio::time::Instant;

use super::{Nodes, progress, request};
use crate::client::{Client, Request, segment};
use crate::commands::patience;
use crate::exit::Exit;
use crate::output::{Bar, Output};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `nodes drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// The auxiliary.
    node: String,
    /// Return when it was asked for.
    #[arg(long)]
    no_wait: bool,
}

/// Arguments of `nodes rebalance`.
#[derive(Debug, Args)]
pub(crate) struct RebalanceArgs {
    /// Return when it was asked for.
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn drain(DrainArgs { node, no_wait }: DrainArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let ask = || Request::post(format!("/nodes/{}/drain", segment(&node)));
    let (mut body, mut change) = asked(ask(), no_wait, client, output).await?;
    // A drain that is asked for again is waited for again.
    while !change.done && !no_wait {
        (body, change) = asked(ask(), false, client, output).await?;
    }
    let said = match change.done {
        true => format!("{node} has left the ring, epoch {}; it may be stopped", change.epoch),
        false => format!("{node} leaves the ring; `elasticore nodes` shows how far it is"),
    };
    tell(&body, &said, output)
}

pub(super) async fn rebalance(arguments: RebalanceArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::post("/rebalance");
    let (mut body, mut change) = asked(request, arguments.no_wait, client, output).await?;
    if !change.done && !arguments.no_wait {
        change = until_stable(change, client, output).await?;
        // The first answer was too early.
        body = serde_json::to_vec(&change)?.into();
    }
    let said = match change.done {
        true => format!("rebalanced, epoch {}", change.epoch),
        false => "rebalancing; `elasticore nodes` shows how far it is".to_owned(),
    };
    tell(&body, &said, output)
}

/// Asks once, and shows how far it is while the answer is waited for.
async fn asked(request: Request, no_wait: bool, client: &Client, output: &Output) -> anyhow::Result<(Bytes, RingChange)> {
    let request = request.header("prefer", Some(patience(client)).filter(|_| !no_wait).flatten());
    let bar = progress::begin(output.has_color());
    let answer = async { client.send(&request).await?.json::<RingChange>().await };
    let answered = tokio::select! {
        answered = answer => answered,
        () = watch(client, &bar) => unreachable!("it looks until it is dropped"),
    };
    bar.clear();
    Ok(answered?)
}

async fn watch(client: &Client, bar: &Bar) {
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Ok(nodes) = look(client).await {
            progress::show(bar, &nodes);
        }
    }
}

/// Waits on, by the revision at which it was asked for: a ring that is stable may be so still, or may be so again after another
/// change, which a rebalance waits for. And a rebalance that is asked for again would begin again.
async fn until_stable(mut change: RingChange, client: &Client, output: &Output) -> anyhow::Result<RingChange> {
    let bar = progress::begin(output.has_color());
    let mut heard = Instant::now();
    let asked = change.asked_revision.unwrap_or_default();
    let since = change.from_epoch.next();
    loop {
        tokio::time::sleep(PAUSE).await;
        match look(client).await {
            Ok(nodes) => {
                heard = Instant::now();
                progress::show(&bar, &nodes);
                if nodes.is_rebalanced_since(asked) {
                    bar.clear();
                    change.done = true;
                    change.epoch = Epoch(nodes.epoch);
                    change.phase = nodes.phase;
                    change.sync = nodes.sync_since(since);
                    return Ok(change);
                }
            }
            // A master may be lost meanwhile.
            Err(error) if heard.elapsed() >= client.timeout() => {
                bar.clear();
                return Err(error.into());
            }
            Err(_) => {}
        }
    }
}

async fn look(client: &Client) -> Result<Nodes, crate::client::Error> {
    Ok(client.send(&request()).await?.json::<Nodes>().await?.1)
}

fn tell(body: &[u8], said: &str, output: &mut Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        output.json(body)?;
    } else {
        output.line(said)?;
    }
    Ok(Exit::Ok)
}
