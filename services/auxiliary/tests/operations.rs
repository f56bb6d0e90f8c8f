//! What an auxiliary tells of itself: whether it may be counted on, and what happens to its entries.

mod support;

use std::time::Duration;

use auxiliary::Handle;
use futures::StreamExt;
use support::{Cluster, put};
use transport::peer::Method;

/// Why a node is not ready; none while it is.
async fn excuse(cluster: &Cluster, node: &Handle) -> Option<String> {
    let answer = cluster.call(Method::GET, node, "/ready", None).await;
    answer.err().map(|error| error.to_string())
}

#[tokio::test]
async fn a_drained_node_says_that_it_was_and_what_to_do() {
    let cluster = Cluster::start().await;
    let (first, second) = (cluster.auxiliary("a").await, cluster.auxiliary("b").await);
    assert_eq!(excuse(&cluster, &second).await, None);
    let leaving = api::NodeId::try_new("b").expect("valid");
    let drained = cluster::drain(&cluster.store, &cluster.view, &leaving, Duration::from_secs(20)).await;
    assert!(drained.expect("drained").done);
    let began = tokio::time::Instant::now();
    let said = loop {
        match excuse(&cluster, &second).await {
            Some(said) => break said,
            None => assert!(began.elapsed() < Duration::from_secs(10), "it still is ready"),
        }
    };
    assert!(said.contains("drained") && said.contains("start it anew"), "{said}");
    assert_eq!(excuse(&cluster, &first).await, None, "the others go on");
    second.stop().await;
    let again = cluster.auxiliary("b").await;
    while let Some(said) = excuse(&cluster, &again).await {
        assert!(
            !said.contains("drained") && began.elapsed() < Duration::from_secs(20),
            "{said}"
        );
        tokio::task::yield_now().await;
    }
    for node in [first, again] {
        node.stop().await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn the_stream_of_events_gives_signs_of_life() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let stream = cluster.call(Method::GET, &node, "/internal/v1/cache/events", None).await;
    let mut lines = Box::pin(stream.expect("it begins").stream());
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_secs(10), lines.next());
        line.await
            .expect("it is not silent")
            .expect("it goes on")
            .expect("it can be read")
    };
    assert_eq!((next().await, next().await), ("\n".into(), "\n".into()));
    cluster.batch("a", vec![put("k", b"v", 7)]).await;
    loop {
        let line = next().await;
        if line != "\n" {
            assert_eq!(line, "{\"key\":\"k\",\"kind\":\"set\",\"namespace\":\"\",\"version\":7}\n");
            break;
        }
    }
    node.stop().await;
    cluster.stop().await;
}
