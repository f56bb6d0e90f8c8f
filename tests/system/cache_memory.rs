//! The memory cap is real: what a process takes from the system stays within the bound, whatever the sizes of values.

use std::fs;
use std::time::{Duration, Instant};

use api::member::Role;
use futures::future::join_all;
use system_tests::{Api, Sandbox};

/// `CACHE_MAX_BYTES` of each auxiliary.
const CAP: usize = 48 << 20;
/// What an auxiliary takes beside its entries and a seventh of them: code, connections, frames under way.
const BASE: usize = 96 << 20;
/// Clients that write at once.
const CLIENTS: u64 = 16;
/// What each of them writes at least: together enough to fill all nodes, with two copies, twice.
const EACH: usize = 4 * CAP / CLIENTS as usize;
/// Longest time for that, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Twenty seconds, or as long as `make test-full` says.
fn length() -> Duration {
    let seconds = std::env::var("ELASTICORE_CHURN_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(20))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auxiliary_stays_within_its_bound_under_churn_of_mixed_sizes() {
    for policy in ["lru", "s3fifo"] {
        let mut stack = Sandbox::raft()
            .workers(0)
            .set(Role::Auxiliary, "CACHE_MAX_BYTES", CAP)
            .set(Role::Auxiliary, "CACHE_POLICY", policy)
            .start()
            .await;
        let (api, until) = (stack.api(), Instant::now() + length() / 2);
        let seed = fastrand::u64(..);
        println!("{policy}: seed {seed}");
        let clients = join_all((0..CLIENTS).map(|client| churn(&api, seed + client, until)));
        let pids: Vec<u32> = stack.auxiliaries.iter_mut().map(|node| node.process().id()).collect();
        let watched = async {
            let mut peak = 0;
            let mut clients = std::pin::pin!(clients);
            loop {
                peak = pids.iter().map(|pid| resident(*pid)).fold(peak, usize::max);
                match tokio::time::timeout(Duration::from_millis(100), &mut clients).await {
                    Ok(written) => break (written, peak),
                    Err(_) => continue,
                }
            }
        };
        let (written, peak) = watched.await;
        let written: usize = written.into_iter().sum();
        let mut held = Vec::new();
        for node in &stack.auxiliaries {
            held.push(node.metrics().await.sum("cache_bytes_current", &[]) as usize);
        }
        println!(
            "{policy}: {} MiB written, {held:?} bytes held, peak {} MiB",
            written >> 20,
            peak >> 20
        );
        assert!(written >= 4 * CAP, "the load must turn the caches over: {written} bytes");
        assert!(held.iter().all(|bytes| *bytes <= CAP), "{held:?}");
        assert!(held.iter().all(|bytes| *bytes > CAP / 2), "the caches are not full: {held:?}");
        let limit = CAP + CAP * 15 / 100 + BASE;
        assert!(peak <= limit, "{policy}: {peak} bytes resident, {limit} allowed");
        assert_eq!(stack.panics(), Vec::<String>::new());
    }
}

/// Writes values of up to 128 KiB, small ones mostly, and deletes some; bytes written.
async fn churn(api: &Api, seed: u64, until: Instant) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    // Noise: what can be compressed would take less. Values are parts of it, since making it takes long.
    let mut noise = vec![0; 256 << 10];
    random.fill(&mut noise);
    let mut written = 0;
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < until || (written < EACH && Instant::now() < give_up) {
        let key = format!("/cache/churn-{}", random.u32(..200_000));
        if random.u8(..10) == 0 {
            api.delete(&key).await;
            continue;
        }
        let largest = 2 << random.u32(4..=16);
        let (length, from) = (random.usize(1..=largest), random.usize(..noise.len() / 2));
        let value = noise[from..from + length].to_vec();
        written += value.len();
        let answer = api.request("PUT", &format!("{key}?ttl=600")).body(value).send().await;
        assert!(matches!(answer.status, 200 | 201), "{answer}");
    }
    written
}

/// Bytes of memory a process has from the system.
fn resident(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.unwrap_or(0) << 10
}
