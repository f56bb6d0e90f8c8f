//! What is refused, and that nothing of it stays.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::stack::{Answer, Stack, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_not_what_they_claim_are_refused() {
    let stack = Stack::start().await;
    for (path, body, said) in [
        ("x.csv", "", "it is empty"),
        ("x.csv", "a,b\n1,2,3\n", "not a csv file"),
        ("x.ndjson", "{\"a\":1}\nnonsense\n", "not an ndjson file"),
        ("x.parquet", "a,b\n1,2\nthese are no columns\n", "does not begin with PAR1"),
        ("x.csv.gz", "plain text", "gzip"),
        ("x.xlsx", "PK", "cannot be told from its name"),
        ("x?format=xml", "<a/>", "not known"),
        ("x.csv?format=ndjson", "a,b\n1,2\n", "not an ndjson file"),
    ] {
        stack
            .put(&format!("/datasets/wrong/{path}"), body)
            .await
            .problem(400, "invalid_argument", said);
    }
    stack
        .put("/datasets/wrong/no-extension?format=csv", "a\n1\n")
        .await
        .expect(201);
    stack
        .put("/datasets/wrong/no-extension?format=ndjson", "{}\n")
        .await
        .expect(200);
    eventually(|| async { stack.blobs().await.len() == 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_parameters_are_checked() {
    let stack = Stack::start().await;
    for path in [
        "/datasets/_x/a.csv",
        "/datasets/a%2Fb/a.csv",
        "/datasets/x/..%2Fa.csv",
        "/datasets/x/a.csv?ns=_ours",
        "/datasets/x/a.csv?x=1",
    ] {
        stack.put(path, "a\n1\n").await.problem(400, "invalid_argument", "");
    }
    stack.get("/datasets?limit=0").await.problem(400, "invalid_argument", "limit");
    let conditions = [("if-match", "\"7\"")];
    let answer = stack.ask_with("PUT", "/datasets/x/a.csv", &conditions, "a\n1\n").await;
    answer.problem(400, "invalid_argument", "only If-None-Match");
    assert!(stack.blobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_said_to_be_full() {
    let stack = Stack::with_room(1 << 20).await;
    let answer = stack.put("/datasets/large/x.csv", "a,b\n".repeat(1_000_000)).await;
    answer.problem(503, "unavailable", "no space for blobs on node ");
    assert!(stack.blobs().await.is_empty());
    stack.put("/datasets/small/x.csv", "a,b\n1,2\n").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_answer_clearly() {
    let stack = Stack::start().await;
    stack.put("/datasets/full/0.csv", "a\n1\n").await.expect(201);
    let entry = stack
        .store
        .store
        .get("datasets/_/full", control::Consistency::Linearizable)
        .await
        .unwrap()
        .unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    let file = manifest["files"][0].clone();
    let mut files: Vec<_> = (0..4096)
        .map(|n| {
            let mut file = file.clone();
            file["path"] = json!(format!("{n:05}.csv"));
            file
        })
        .collect();
    manifest["files"] = json!(files);
    let write = async |manifest: &serde_json::Value| {
        stack
            .store
            .store
            .put("datasets/_/full", manifest.to_string().into_bytes().into(), None)
            .await
            .unwrap();
    };
    write(&manifest).await;
    stack
        .put("/datasets/full/one-more.csv", "a\n1\n")
        .await
        .problem(413, "too_large", "4096 files");
    stack.put("/datasets/full/00007.csv", "a\n1\n").await.expect(200);
    files.truncate(1_000);
    for file in &mut files {
        file["blob"] = json!("b".repeat(990));
    }
    manifest["files"] = json!(files);
    write(&manifest).await;
    stack
        .put("/datasets/full/one-more.csv", "a\n1\n")
        .await
        .problem(413, "too_large", "1000000 bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_names_every_path_of_datasets() {
    let stack = Stack::start().await;
    let document = Answer::of(
        stack.public.clone(),
        Request::get("/openapi.json").body(Body::empty()).unwrap(),
    )
    .await
    .json();
    let file = &document["paths"]["/datasets/{name}/{file}"];
    for method in ["put", "get", "delete"] {
        assert!(file[method].is_object(), "{method}: {file}");
    }
}
