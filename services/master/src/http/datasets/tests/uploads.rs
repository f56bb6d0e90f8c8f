//! Uploads, and what is seen of them.

use std::io;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::stack::{Stack, eventually};

fn parquet(rows: i64) -> Vec<u8> {
    let column: arrow::array::ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_becomes_a_dataset_that_is_described_and_downloaded() {
    let stack = Stack::start().await;
    let csv = "id,name\n1,a\n2,b\n";
    let made = stack.put("/datasets/people/part-1.csv", csv).await.expect(201).json();
    assert_eq!(made["file"], json!({ "path": "part-1.csv", "bytes": csv.len(), "rows": 2 }));
    assert_eq!(made["schema"][0], json!({ "name": "id", "type": "Int64", "nullable": true }));
    let replaced = stack
        .put("/datasets/people/part-1.csv", "id,name\n1,a\n")
        .await
        .expect(200)
        .json();
    assert_ne!(made["version"], replaced["version"]);
    stack
        .put("/datasets/people/year=2026/x%20y.csv", "id,age\n1.5,7\n")
        .await
        .expect(201);

    let told = stack.get("/datasets/people").await.expect(200).json();
    assert_eq!(told["format"], "csv");
    assert_eq!(told["rows"], 2);
    assert_eq!(told["files"][1]["path"], "year=2026/x y.csv");
    let columns: Vec<_> = told["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (&column["name"], &column["type"]))
        .collect();
    assert_eq!(
        columns,
        [
            (&json!("id"), &json!("Float64")),
            (&json!("name"), &json!("Utf8")),
            (&json!("age"), &json!("Int64"))
        ]
    );

    let file = stack.get("/datasets/people/part-1.csv").await.expect(200);
    assert_eq!(
        (file.text().as_str(), file.header("content-type")),
        ("id,name\n1,a\n", "text/csv")
    );
    let part = stack
        .ask_with("GET", "/datasets/people/part-1.csv", &[("range", "bytes=3-6")], Body::empty())
        .await
        .expect(206);
    assert_eq!((part.text().as_str(), part.header("content-range")), ("name", "bytes 3-6/12"));
    stack
        .ask_with("GET", "/datasets/people/part-1.csv", &[("range", "bytes=12-")], Body::empty())
        .await
        .expect(416);

    let listed = stack.get("/datasets").await.expect(200).json();
    assert_eq!(
        (&listed["items"][0]["name"], &listed["items"][0]["files"]),
        (&json!("people"), &json!(2))
    );
    stack.ask("DELETE", "/datasets/people/part-1.csv").await.expect(204);
    stack
        .get("/datasets/people/part-1.csv")
        .await
        .problem(404, "not_found", "no file");
    stack.ask("DELETE", "/datasets/people/year=2026/x%20y.csv").await.expect(204);
    stack
        .get("/datasets/people")
        .await
        .problem(404, "not_found", "no dataset people");
    stack
        .ask("DELETE", "/datasets/people")
        .await
        .problem(404, "not_found", "no dataset people");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_and_rows_of_parquet_come_from_its_end() {
    let stack = Stack::start().await;
    let file = parquet(100_000);
    let made = stack
        .put("/datasets/numbers/a.parquet", file.clone())
        .await
        .expect(201)
        .json();
    assert_eq!(made["file"]["rows"], 100_000);
    assert_eq!(made["schema"][0]["type"], "Int64");
    assert_eq!(stack.get("/datasets/numbers/a.parquet").await.expect(200).body, file);
    let cut = file[..file.len() - 10].to_vec();
    stack
        .put("/datasets/numbers/b.parquet", cut)
        .await
        .problem(400, "invalid_argument", "does not end with PAR1");
    stack
        .put("/datasets/numbers/b.csv", "a\n1\n")
        .await
        .problem(409, "conflict", "one format");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_keep_datasets_apart_and_pages_follow_each_other() {
    let stack = Stack::start().await;
    for n in 0..25 {
        stack
            .put(&format!("/datasets/d{n:02}/x.ndjson"), "{\"a\":1}\n")
            .await
            .expect(201);
    }
    stack
        .put("/datasets/d00/x.ndjson?ns=team", "{\"a\":\"text\"}\n")
        .await
        .expect(201);
    let team = stack
        .ask_with("GET", "/datasets/d00", &[("x-namespace", "team")], Body::empty())
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&team["namespace"], &team["schema"][0]["type"]),
        (&json!("team"), &json!("Utf8"))
    );
    assert_eq!(stack.get("/datasets/d00").await.json()["schema"][0]["type"], "Int64");
    assert_eq!(
        stack.get("/datasets?ns=team").await.json()["items"].as_array().unwrap().len(),
        1
    );

    let mut seen: Vec<String> = Vec::new();
    let mut path = "/datasets?limit=10".to_owned();
    loop {
        let page = stack.get(&path).await.expect(200).json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/datasets?limit=10&after={next}");
    }
    assert_eq!(seen, (0..25).map(|n| format!("d{n:02}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_at_once_all_become_part_of_their_dataset() {
    let stack = Stack::start().await;
    let uploads = (0..24).map(|n| {
        let stack = &stack;
        async move {
            stack
                .put(&format!("/datasets/many/{n}.csv"), format!("n\n{n}\n"))
                .await
                .expect(201)
        }
    });
    futures::future::join_all(uploads).await;
    let told = stack.get("/datasets/many").await.expect(200).json();
    assert_eq!((told["files"].as_array().unwrap().len(), &told["rows"]), (24, &json!(24)));
    let only_new = [("if-none-match", "*")];
    stack
        .ask_with("PUT", "/datasets/many/3.csv", &only_new, "n\n9\n")
        .await
        .problem(412, "precondition_failed", "already");
    let rivals = (0..6).map(|n| stack.ask_with("PUT", "/datasets/many/one.csv", &only_new, format!("n\n{n}\n")));
    let won = futures::future::join_all(rivals).await;
    assert_eq!(won.iter().filter(|answer| answer.status == 201).count(), 1, "one of all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_upload_leaves_nothing() {
    let stack = Stack::start().await;
    let broken = stream::repeat_with(|| Ok(Bytes::from("1,2\n".repeat(50_000)))).take(20);
    let broken = broken.chain(stream::once(async { Err(io::Error::other("the client has gone")) }));
    let answer = stack.put("/datasets/broken/a.csv", Body::from_stream(broken)).await;
    answer.problem(400, "invalid_argument", "ended before it was whole");
    let endless = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from("1,2\n".repeat(50_000))))
        .take(20)
        .chain(stream::pending());
    let given_up = stack.put("/datasets/broken/a.csv", Body::from_stream(endless));
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(1), given_up)
            .await
            .is_err()
    );
    stack.get("/datasets/broken").await.expect(404);
    eventually(|| async {
        let intents = stack
            .store
            .store
            .range(control::Range::prefix("blobs/"), control::Consistency::Linearizable)
            .await
            .unwrap();
        stack.blobs().await.is_empty() && intents.items.is_empty()
    })
    .await;
    for node in ["a", "b"] {
        let incoming = stack.directory.path().join(node).join("incoming");
        eventually(|| async { std::fs::read_dir(&incoming).unwrap().count() == 0 }).await;
    }
}

/// Most memory this process had at once, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes 2 GiB; by hand: cargo test -p master gibibyte -- --ignored --nocapture"]
async fn a_gibibyte_streams_through_in_constant_memory() {
    const LINE: &str = "1234567,some text of a row,3.25\n";
    let stack = Stack::start().await;
    stack.put("/datasets/warm/x.csv", "a,b,c\n1,b,2\n").await.expect(201);
    let before = peak_memory();
    let piece = Bytes::from(LINE.repeat(4096));
    let pieces = (1u64 << 30) / piece.len() as u64;
    let header = stream::once(async { Ok::<_, io::Error>(Bytes::from("id,text,price\n")) });
    let body = header.chain(stream::repeat_with(move || Ok(piece.clone())).take(usize::try_from(pieces).unwrap()));
    let began = std::time::Instant::now();
    let made = stack
        .put("/datasets/large/x.csv", Body::from_stream(body))
        .await
        .expect(201)
        .json();
    assert_eq!(made["file"]["rows"], pieces * 4096);
    let grown = peak_memory() - before;
    println!(
        "1 GiB, two copies: {:?}, {} MiB more memory in one process of a master and two auxiliaries",
        began.elapsed(),
        grown >> 20
    );
    assert!(grown < 128 << 20, "{grown} bytes more");
}
