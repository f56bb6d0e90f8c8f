//! The cache of an auxiliary, called as masters call it.

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::cache::{Condition, FrameItem, FrameOp, FrameReply, Lifetime, Packing, ReplyFrame};
use api::{BootId, Epoch, ErrorCode};
use bytes::Bytes;
use support::{Cluster, get, put};
use transport::frames::{Call, FrameClient};
use transport::peer::{Method, PeerClient, PeerPolicy};

const MISS: FrameReply<'_> = FrameReply::Miss { load: false };

fn replies(frame: &Bytes) -> Vec<FrameReply<'_>> {
    postcard::from_bytes::<ReplyFrame<'_>>(frame).expect("a reply frame").replies
}

#[tokio::test]
async fn a_batch_is_carried_out_in_order() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let op = |op| FrameItem {
        namespace: "ns",
        key: "k",
        op,
        again: false,
    };
    let write = |version, condition, expires_at_ms| {
        op(FrameOp::Put {
            value: b"v",
            content_type: "",
            packing: Packing::Plain,
            lifetime: Lifetime {
                fresh_until_ms: expires_at_ms,
                expires_at_ms,
            },
            version,
            condition,
        })
    };
    let items = vec![
        get("k"),
        put("k", b"value", 10),
        get("k"),
        write(11, Condition::Absent, 0),
        write(12, Condition::Absent, 0),
        write(3, Condition::None, 0),
        write(13, Condition::Version(11), now_ms + 60_000),
        op(FrameOp::Incr { by: 1, version: 14 }),
        op(FrameOp::Delete {
            version: 15,
            condition: Condition::None,
        }),
        op(FrameOp::Delete {
            version: 16,
            condition: Condition::None,
        }),
        op(FrameOp::Incr { by: -5, version: 17 }),
        write(18, Condition::None, now_ms - 1),
        op(FrameOp::Get),
    ];
    let frame = cluster.batch("a", items).await;
    let found = replies(&frame);
    let hit = FrameReply::Hit {
        value: b"value",
        content_type: "text/plain",
        packing: Packing::Plain,
        version: 10,
        lifetime: Lifetime::default(),
        load: false,
    };
    assert_eq!(
        found[..7],
        [
            MISS,
            FrameReply::Stored {
                version: 10,
                created: true
            },
            hit,
            FrameReply::Stored {
                version: 11,
                created: true
            },
            FrameReply::PreconditionFailed { version: 11 },
            FrameReply::Stale { version: 11 },
            FrameReply::Stored {
                version: 13,
                created: false
            },
        ]
    );
    assert!(
        matches!(
            found[7],
            FrameReply::Failed {
                code: ErrorCode::InvalidArgument,
                ..
            }
        ),
        "{:?}",
        found[7]
    );
    assert_eq!(
        found[8..],
        [
            FrameReply::Deleted { existed: true },
            FrameReply::Deleted { existed: false },
            FrameReply::Counter { value: -5, version: 17 },
            FrameReply::Stored {
                version: 18,
                created: false
            },
            MISS,
        ]
    );
    let metrics = telemetry::render(node.registry());
    for line in [
        "cache_operations_total{operation=\"get\",result=\"hit\"} 1",
        "cache_operations_total{operation=\"get\",result=\"miss\"} 2",
        "cache_operations_total{operation=\"put\",result=\"conflict\"} 1",
        "cache_operations_total{operation=\"put\",result=\"stale\"} 1",
        "cache_size_current 1",
        "cache_evictions_total{reason=\"bytes\"} 0",
        "cache_evictions_total{reason=\"quota\"} 0",
        "cache_namespace_reads_total{namespace=\"_default\",result=\"hit\"} 1",
        "cache_request_duration_seconds_count{operation=\"put\"} 6",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_large_value_comes_back_whole() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let value: Vec<u8> = (0..8 << 20).map(|n| (n % 251) as u8).collect();
    cluster.batch("a", vec![put("k", &value, 1)]).await;
    let frame = cluster.batch("a", vec![get("k")]).await;
    assert!(matches!(&replies(&frame)[0], FrameReply::Hit { value: found, .. } if *found == value));
    // Nine of them would not fit in one reply: the rest is asked for again.
    let frame = cluster.batch("a", vec![get("k"); 9]).await;
    let found = replies(&frame);
    let hits = found.iter().filter(|reply| matches!(reply, FrameReply::Hit { .. })).count();
    assert!((1..9).contains(&hits), "{hits} hits");
    assert!(matches!(
        found[8],
        FrameReply::Failed {
            code: ErrorCode::Conflict,
            ..
        }
    ));
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn callers_who_know_another_ring_or_another_life_are_refused_and_nothing_is_done() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let (member, epoch) = (cluster.member("a"), cluster.view.load().epoch());
    cluster.batch("a", vec![get("warm")]).await;
    let mut stranger = member.clone();
    stranger.boot_id = BootId::new_random();
    let refused = cluster
        .batch_to(&stranger, epoch, vec![put("k", b"v", 1)])
        .await
        .expect_err("another life");
    assert_eq!(refused.code(), ErrorCode::Conflict);
    for other in [Epoch(epoch.0 - 1), Epoch(epoch.0 + 1)] {
        let refused = cluster
            .batch_to(&member, other, vec![put("k", b"v", 1)])
            .await
            .expect_err("another ring");
        assert_eq!(refused.code(), ErrorCode::Conflict, "{refused}");
    }
    let outsider = FrameClient::new(PeerClient::new("wrong", PeerPolicy::default(), &telemetry::new_registry()));
    let call = Call {
        kind: cache::Kind::Batch as u8,
        epoch,
        boot_id: member.boot_id,
    };
    let refused = outsider
        .call(&member.address, call, Bytes::new(), Duration::from_secs(5))
        .await;
    assert_eq!(refused.expect_err("no token").code(), ErrorCode::Unauthenticated);
    let frame = cluster.batch("a", vec![get("k")]).await;
    assert_eq!(replies(&frame), [MISS]);
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_harms_nothing() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let (member, epoch) = (cluster.member("a"), cluster.view.load().epoch());
    cluster.batch("a", vec![get("warm")]).await;
    for garbage in [
        &b""[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x05abc",
        b"\x01\x00\x01k\x19",
    ] {
        let refused = cluster
            .send(&member, epoch, Bytes::from_static(garbage))
            .await
            .expect_err("garbage");
        assert_eq!(refused.code(), ErrorCode::InvalidArgument, "{garbage:?}: {refused}");
    }
    let unknown = Call {
        kind: 99,
        epoch,
        boot_id: member.boot_id,
    };
    let refused = cluster
        .frames
        .call(&member.address, unknown, Bytes::new(), Duration::from_secs(5))
        .await;
    assert_eq!(refused.expect_err("no such call").code(), ErrorCode::InvalidArgument);
    let posted = cluster
        .call(Method::POST, &node, "/internal/v1/frames", Some(Bytes::from_static(b"x")))
        .await;
    assert!(posted.is_err(), "without Upgrade there is nothing to talk");
    cluster.batch("a", vec![put("k", b"v", 1)]).await;
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn entries_move_to_a_node_that_joins_and_back_from_one_that_leaves() {
    let cluster = Cluster::start().await;
    let first = cluster.auxiliary("a").await;
    let keys: Vec<String> = (0..200).map(|n| format!("key-{n}")).collect();
    cluster.batch("a", keys.iter().map(|key| put(key, b"old", 1)).collect()).await;
    let second = cluster.auxiliary("b").await;
    let routing = cluster.view.load().routing().clone();
    let (to_b, to_a): (Vec<&String>, Vec<&String>) = keys
        .iter()
        .partition(|key| routing.owner("", key).is_some_and(|owner| owner.id.as_str() == "b"));
    assert!(!to_b.is_empty() && !to_a.is_empty());
    let frame = cluster.batch("b", to_b.iter().map(|key| get(key)).collect()).await;
    assert!(
        replies(&frame).iter().all(|reply| matches!(reply, FrameReply::Hit { .. })),
        "a key that moved is missing at its new owner"
    );
    cluster.batch("b", to_b.iter().map(|key| put(key, b"new", 2)).collect()).await;
    // With one copy of each entry only a drain takes them along; the last backup does not travel.
    let leaving = api::NodeId::try_new("b").expect("valid");
    cluster::drain(&cluster.store, &cluster.view, &leaving, Duration::from_secs(20))
        .await
        .expect("drained");
    cluster.in_ring("b", false).await;
    second.stop().await;
    let frame = cluster.batch("a", keys.iter().map(|key| get(key)).collect()).await;
    for (key, reply) in keys.iter().zip(replies(&frame)) {
        let expected: &[u8] = if to_b.contains(&key) { b"new" } else { b"old" };
        assert!(
            matches!(reply, FrameReply::Hit { value, .. } if value == expected),
            "{key}: {reply:?}"
        );
    }
    first.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn operational_routes_answer_without_a_token() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    for path in ["/health", "/ready", "/metrics"] {
        let answer = cluster
            .call(Method::GET, &node, path, None)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let text = String::from_utf8(answer.bytes().await.expect("body").to_vec()).expect("text");
        assert!(!text.is_empty());
        if path == "/metrics" {
            for name in [
                "server_uptime_seconds",
                "cache_bytes_current",
                "cluster_ring_epoch",
                "cluster_members{role=\"auxiliary\"} 1",
            ] {
                assert!(text.contains(name), "{name} is missing");
            }
        }
    }
    let names: Vec<String> = node.tasks().into_iter().map(|task| task.name).collect();
    assert!(
        ["listener", "membership", "ring", "sweeper", "view"]
            .iter()
            .all(|name| names.contains(&(*name).to_owned())),
        "{names:?}"
    );
    node.stop().await;
    cluster.stop().await;
}
