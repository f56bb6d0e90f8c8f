//! Load straight at one auxiliary, as `redis-benchmark` loads Redis: so many connections, one read under way on each, no
//! pipelining and no batching. Prints one line of JSON; `make bench-cache` runs it.
//!
//! `owner_load ADDRESS BOOT_ID EPOCH TOKEN KEYS CONNECTIONS SECONDS`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use api::cache::{BatchFrame, FrameItem, FrameOp, FrameReply, ReplyFrame};
use api::{BootId, Epoch};
use transport::frames::{Call, FrameClient};
use transport::peer::{PeerClient, PeerPolicy};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Target {
    address: String,
    call: Call,
    token: String,
    keys: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, boot_id, epoch, token, keys, connections, seconds] = &arguments[..] else {
        anyhow::bail!("usage: owner_load ADDRESS BOOT_ID EPOCH TOKEN KEYS CONNECTIONS SECONDS");
    };
    let target = Arc::new(Target {
        address: address.clone(),
        call: Call {
            kind: cache::Kind::Batch as u8,
            epoch: Epoch(epoch.parse()?),
            boot_id: boot_id.parse::<BootId>()?,
        },
        token: token.clone(),
        keys: keys.parse()?,
    });
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..connections.parse::<u64>()?)
        .map(|client| tokio::spawn(one(Arc::clone(&target), client, Arc::clone(&stop))))
        .collect();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(seconds.parse()?)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut latencies, mut hits) = (Vec::new(), 0);
    for client in clients {
        let (mut times, found) = client.await??;
        latencies.append(&mut times);
        hits += found;
    }
    let elapsed = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| {
        latencies
            .get((latencies.len() as f64 * part) as usize)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    println!(
        "{{\"requests\":{},\"hits\":{hits},\"rate\":{:.0},\"p50\":{:.3},\"p99\":{:.3},\"p999\":{:.3}}}",
        latencies.len(),
        latencies.len() as f64 / elapsed,
        at(0.5),
        at(0.99),
        at(0.999),
    );
    Ok(())
}

/// One connection: reads random keys until told to stop; times, and how many were found.
async fn one(target: Arc<Target>, seed: u64, stop: Arc<AtomicBool>) -> anyhow::Result<(Vec<Duration>, u64)> {
    let peers = PeerClient::new(&target.token, PeerPolicy::default(), &telemetry::new_registry());
    let client = FrameClient::new(peers);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut times, mut hits) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let key = format!("bench-{}", random.u64(1..=target.keys));
        let item = FrameItem {
            namespace: "",
            key: &key,
            op: FrameOp::Get,
            again: false,
        };
        let frame = postcard::to_stdvec(&BatchFrame { items: vec![item] })?;
        let began = Instant::now();
        let answer = client
            .call(&target.address, target.call, frame.into(), Duration::from_secs(5))
            .await;
        times.push(began.elapsed());
        let answer = answer.context("the auxiliary does not answer")?;
        let reply: ReplyFrame<'_> = postcard::from_bytes(&answer)?;
        hits += u64::from(matches!(reply.replies[..], [FrameReply::Hit { .. }]));
    }
    Ok((times, hits))
}
