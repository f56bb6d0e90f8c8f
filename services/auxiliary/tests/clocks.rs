//! Callers whose clocks are an hour ahead or behind, over real connections: entries live as long as they are given, and callers of before,
//! who do not say what time they have, are understood as ever.

mod support;

use std::time::{Duration, Instant};

use api::cache::{BatchFrame, Condition, FrameItem, FrameOp, FrameReply, Lifetime, Packing, ReplyFrame};
use support::{Cluster, TOKEN, get};
use transport::frames::{Call, FrameClient};
use transport::peer::{PeerClient, PeerPolicy};

const HOUR_MS: i64 = 3_600_000;

/// A master whose clock is off, or one of before.
struct Caller {
    frames: FrameClient,
    ahead_ms: i64,
}

impl Caller {
    fn new(ahead_ms: i64) -> Self {
        let peers = PeerClient::new(TOKEN, PeerPolicy::default(), &telemetry::new_registry());
        let frames = FrameClient::new(peers).telling(move || time(ahead_ms));
        Self { frames, ahead_ms }
    }

    fn of_before() -> Self {
        let peers = PeerClient::new(TOKEN, PeerPolicy::default(), &telemetry::new_registry());
        Self {
            frames: FrameClient::new(peers),
            ahead_ms: 0,
        }
    }

    async fn call(&self, cluster: &Cluster, item: FrameItem<'_>) -> bytes::Bytes {
        let (to, epoch) = (cluster.member("a"), cluster.view.load().epoch());
        let call = Call {
            kind: cache::Kind::Batch as u8,
            epoch,
            boot_id: to.boot_id,
        };
        let frame = postcard::to_stdvec(&BatchFrame { items: vec![item] }).expect("encodes");
        let answer = self.frames.call(&to.address, call, frame.into(), Duration::from_secs(10));
        answer.await.expect("an answer")
    }

    async fn put(&self, cluster: &Cluster, key: &str, ttl_ms: u64, version: u64) {
        let at_ms = time(self.ahead_ms) + ttl_ms;
        let op = FrameOp::Put {
            value: b"v",
            content_type: "",
            packing: Packing::Plain,
            lifetime: Lifetime {
                fresh_until_ms: at_ms,
                expires_at_ms: at_ms,
            },
            version,
            condition: Condition::None,
        };
        let item = FrameItem { op, ..get(key) };
        let answer = self.call(cluster, item).await;
        assert!(matches!(reply(&answer), FrameReply::Stored { .. }), "{:?}", reply(&answer));
    }

    /// Milliseconds it lives yet, by this caller's clock.
    async fn left(&self, cluster: &Cluster, key: &str) -> Option<u64> {
        let answer = self.call(cluster, get(key)).await;
        match reply(&answer) {
            FrameReply::Hit { lifetime, .. } => Some(lifetime.expires_at_ms.saturating_sub(time(self.ahead_ms))),
            FrameReply::Miss { .. } => None,
            other => panic!("{other:?}"),
        }
    }
}

fn time(ahead_ms: i64) -> u64 {
    cache::now_ms().saturating_add_signed(ahead_ms)
}

fn reply(frame: &bytes::Bytes) -> FrameReply<'_> {
    let mut replies = postcard::from_bytes::<ReplyFrame<'_>>(frame).expect("a reply frame").replies;
    replies.remove(0)
}

#[tokio::test]
async fn entries_live_as_long_as_they_are_given_whatever_the_callers_clock_says() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let callers = [
        Caller::new(0),
        Caller::new(HOUR_MS),
        Caller::new(-HOUR_MS),
        Caller::of_before(),
    ];
    for (number, writer) in (1u64..).zip(&callers) {
        let (long, short) = (format!("long-{number}"), format!("short-{number}"));
        writer.put(&cluster, &long, 60_000, number).await;
        let began = Instant::now();
        writer.put(&cluster, &short, 1_500, number).await;
        for reader in &callers {
            let left = reader.left(&cluster, &long).await.expect("it lives for a minute");
            assert!(
                (50_000..=61_000).contains(&left),
                "{left} ms are left of a minute, written {} and read {} ms ahead",
                writer.ahead_ms,
                reader.ahead_ms
            );
        }
        while callers[0].left(&cluster, &short).await.is_some() {
            assert!(began.elapsed() < Duration::from_secs(10), "it lives for ever");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(
            began.elapsed() > Duration::from_millis(500),
            "gone after {:?}",
            began.elapsed()
        );
    }
    node.stop().await;
    cluster.stop().await;
}
