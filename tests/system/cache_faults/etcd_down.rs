//! A control store that is away for a while.

use std::time::Duration;

use system_tests::Sandbox;

use super::{Fault, Limits, rounds};

/// Three times as long as a lease lives.
const AWAY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_serves_without_etcd_for_thirty_seconds_and_when_it_is_back() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let fault = Fault::begin("etcd silent for 30 s (SIGSTOP)", &stack).await;
    for _ in 0..rounds() {
        for server in stack.etcd.as_mut().unwrap().servers() {
            server.pause();
        }
        fault.lasts(AWAY).await;
        for server in stack.etcd.as_mut().unwrap().servers() {
            server.resume();
        }
        // Every lease was silent for longer than it lives: whoever expires them takes nothing from the cache.
        fault.lasts(Duration::from_secs(5)).await;
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::NONE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_serves_while_etcd_is_dead_and_restarted() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let fault = Fault::begin("etcd killed, back after 30 s", &stack).await;
    for _ in 0..rounds() {
        for server in stack.etcd.as_mut().unwrap().servers() {
            server.kill();
        }
        fault.lasts(AWAY).await;
        for server in stack.etcd.as_mut().unwrap().servers() {
            server.restart().await;
        }
        fault.lasts(Duration::from_secs(5)).await;
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::NONE).await;
}
