//! Blobs over HTTP.

mod support;

use api::ErrorCode;
use bytes::Bytes;
use support::Cluster;
use transport::peer::Method;

#[tokio::test]
async fn a_blob_is_written_read_listed_and_removed() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let content = Bytes::from((0..3_000_000).map(|n| (n % 249) as u8).collect::<Vec<u8>>());
    let path = "/internal/v1/blobs/jobs/0190/part-0.0";
    let written = cluster
        .call(Method::PUT, &node, path, Some(content.clone()))
        .await
        .expect("written");
    assert_eq!(written.status(), 201);
    let shown: serde_json::Value = written.json().await.expect("json");
    assert_eq!(
        (shown["name"].as_str(), shown["bytes"].as_u64()),
        (Some("jobs/0190/part-0.0"), Some(3_000_000))
    );

    let read = cluster.call(Method::GET, &node, path, None).await.expect("read");
    assert_eq!(read.headers()["content-length"], "3000000");
    assert!(read.bytes().await.expect("body") == content);
    let stat = cluster.call(Method::HEAD, &node, path, None).await.expect("stat");
    assert_eq!(
        (&stat.headers()["content-length"], stat.headers().contains_key("etag")),
        (&"3000000".parse().expect("header"), true)
    );

    let again = cluster
        .call(Method::PUT, &node, path, Some(content))
        .await
        .expect("the same again");
    assert_eq!(again.status(), 201);
    let other = cluster
        .call(Method::PUT, &node, path, Some(Bytes::from_static(b"other")))
        .await
        .expect_err("immutable");
    assert_eq!(other.code(), ErrorCode::Conflict);

    let listed = cluster
        .call(Method::GET, &node, "/internal/v1/blobs?prefix=jobs/", None)
        .await
        .expect("listed");
    let listed: serde_json::Value = listed.json().await.expect("json");
    assert_eq!(
        listed["items"],
        serde_json::json!([{ "name": "jobs/0190/part-0.0", "bytes": 3_000_000 }])
    );

    assert_eq!(
        cluster
            .call(Method::DELETE, &node, path, None)
            .await
            .expect("removed")
            .status(),
        204
    );
    for method in [Method::GET, Method::DELETE] {
        let gone = cluster.call(method, &node, path, None).await.expect_err("gone");
        assert_eq!(gone.code(), ErrorCode::NotFound);
    }
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn names_that_could_leave_the_directory_are_refused() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    for name in ["..%2Fx", "a%2F..%2Fb", "a%20b", "a//b", "%00", "a%2B..%2Bb", "%FF"] {
        let refused = cluster
            .call(
                Method::PUT,
                &node,
                &format!("/internal/v1/blobs/{name}"),
                Some(Bytes::from_static(b"x")),
            )
            .await;
        let code = refused.expect_err("refused").code();
        assert!(
            matches!(code, ErrorCode::InvalidArgument | ErrorCode::NotFound),
            "{name}: {code:?}"
        );
    }
    let listed = cluster
        .call(Method::GET, &node, "/internal/v1/blobs", None)
        .await
        .expect("listed");
    let listed: serde_json::Value = listed.json().await.expect("json");
    assert_eq!(listed["items"], serde_json::json!([]));
    node.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_damaged_blob_is_an_error_and_not_an_answer() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let path = "/internal/v1/blobs/x";
    cluster
        .call(Method::PUT, &node, path, Some(Bytes::from(vec![7; 600_000])))
        .await
        .expect("written");
    let file = cluster.directory.path().join("a/blobs/x");
    let mut bytes = std::fs::read(&file).expect("file");
    bytes[500_000] ^= 1;
    std::fs::write(&file, &bytes).expect("write");
    let read = cluster
        .call(Method::GET, &node, path, None)
        .await
        .expect("the first blocks are whole");
    assert!(read.bytes().await.is_err(), "the body must break off");
    bytes.truncate(1_000);
    std::fs::write(&file, &bytes).expect("write");
    let refused = cluster.call(Method::GET, &node, path, None).await.expect_err("cut short");
    assert_eq!(refused.code(), ErrorCode::Internal);
    node.stop().await;
    cluster.stop().await;
}

/// What is wrong with a blob is not wrong with its node: a reader sees an answer that breaks off, never a node that does not answer,
/// for that one would be tried again, and its circuit breaker would open.
#[tokio::test]
async fn damage_in_the_first_block_does_not_look_like_a_node_that_is_gone() {
    let cluster = Cluster::start().await;
    let node = cluster.auxiliary("a").await;
    let path = "/internal/v1/blobs/x";
    cluster
        .call(Method::PUT, &node, path, Some(Bytes::from_static(b"whole")))
        .await
        .expect("written");
    let file = cluster.directory.path().join("a/blobs/x");
    let mut bytes = std::fs::read(&file).expect("file");
    bytes[0] ^= 1;
    std::fs::write(&file, &bytes).expect("write");
    for reading in 0..500 {
        let read = cluster.call(Method::GET, &node, path, None).await;
        let read = read.unwrap_or_else(|error| panic!("reading {reading}: {error}"));
        assert!(read.bytes().await.is_err(), "reading {reading}: the body must break off");
    }
    node.stop().await;
    cluster.stop().await;
}
