//! `elasticore datasets`.

use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::program::run;

fn stored(path: &str, rows: Option<u64>) -> Reply {
    let file = json!({ "path": path, "bytes": 8, "rows": rows });
    Reply::json(201, json!({ "dataset": "d", "version": "v", "file": file, "schema": [] }))
}

#[tokio::test]
async fn files_and_directories_are_uploaded_under_their_paths() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::create_dir_all(root.join("data/year=2026")).unwrap();
    std::fs::write(root.join("data/year=2026/a b.csv"), "a\n1\n2\n3\n").unwrap();
    std::fs::write(root.join("one.csv"), "a\n").unwrap();
    let fake = Fake::always(stored("x", Some(3))).await;
    let (data, one) = (root.join("data"), root.join("one.csv"));
    let ended = run(
        &fake.endpoint,
        &[
            "datasets",
            "put",
            "d",
            data.to_str().unwrap(),
            one.to_str().unwrap(),
            "--namespace",
            "team",
        ],
    )
    .await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        ended.text(),
        "stored d/year=2026/a b.csv, 8 B, 3 rows\nstored d/one.csv, 8 B, 3 rows\n"
    );
    let asked = fake.asked();
    let lines: Vec<String> = asked.iter().map(|asked| asked.line()).collect();
    assert_eq!(
        lines,
        [
            "PUT /datasets/d/year%3D2026/a%20b.csv?ns=team",
            "PUT /datasets/d/one.csv?ns=team"
        ]
    );
    assert_eq!(
        (asked[0].body.as_slice(), asked[0].header("content-length")),
        (&b"a\n1\n2\n3\n"[..], Some("8"))
    );
}

#[tokio::test]
async fn a_file_can_have_another_path_and_format_and_must_be_new() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.dat");
    std::fs::write(&file, "a\n1\n").unwrap();
    let fake = Fake::always(Reply::problem(412, "precondition_failed", "it is there already")).await;
    let arguments = [
        "datasets",
        "put",
        "d",
        file.to_str().unwrap(),
        "--as",
        "p/x.csv",
        "--format",
        "csv",
        "--if-absent",
    ];
    let ended = run(&fake.endpoint, &arguments).await;
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    let asked = fake.only();
    assert_eq!(asked.line(), "PUT /datasets/d/p/x.csv?format=csv");
    assert_eq!(asked.header("if-none-match"), Some("*"));
    let missing = run(&fake.endpoint, &["datasets", "put", "d", "/no/such/file.csv"]).await;
    assert!(
        missing.code != 0 && missing.stderr.contains("cannot be read"),
        "{}",
        missing.stderr
    );
}

#[tokio::test]
async fn datasets_are_listed_and_described() {
    let item = json!({ "name": "d", "format": "csv", "files": 2, "rows": null, "bytes": 10, "modified_at_ms": 5 });
    let fake = Fake::always(Reply::json(200, json!({ "items": [item] }))).await;
    let ended = run(&fake.endpoint, &["datasets", "list"]).await;
    assert_eq!(
        ended.text(),
        "NAME\tFORMAT\tFILES\tROWS\tBYTES\tCHANGED\nd\tcsv\t2\t-\t10\t5\n"
    );
    assert_eq!(fake.only().line(), "GET /datasets?limit=500");

    let column = json!({ "name": "a", "type": "Int64", "nullable": true });
    let file = json!({ "path": "x.csv", "bytes": 10, "rows": 3 });
    let body = json!({ "name": "d", "namespace": "", "version": "v", "format": "csv", "schema": [column], "rows": 3, "bytes": 10,
        "files": [file], "created_at_ms": 1, "modified_at_ms": 5 });
    let fake = Fake::always(Reply::json(200, body)).await;
    let ended = run(&fake.endpoint, &["datasets", "describe", "d"]).await;
    let text = ended.text();
    assert!(text.starts_with("d: csv, 1 files, 3 rows, 10, changed 5\n"), "{text}");
    assert!(text.contains("a\tInt64\tyes\n") && text.contains("x.csv\t3\t10\n"), "{text}");
}

#[tokio::test]
async fn a_file_is_fetched_byte_for_byte_and_removed() {
    let fake = Fake::always(Reply::new(200, b"a,b\n\xff".to_vec())).await;
    let ended = run(&fake.endpoint, &["datasets", "get", "d", "p/x.csv"]).await;
    assert_eq!((ended.code, ended.stdout.as_slice()), (0, &b"a,b\n\xff"[..]));
    assert_eq!(fake.only().line(), "GET /datasets/d/p/x.csv");
    let fake = Fake::always(Reply::new(204, "")).await;
    assert_eq!(
        run(&fake.endpoint, &["datasets", "delete", "d", "p/x.csv"]).await.text(),
        "deleted d/p/x.csv\n"
    );
    assert_eq!(run(&fake.endpoint, &["datasets", "delete", "d"]).await.text(), "deleted d\n");
    let lines: Vec<String> = fake.asked().iter().map(|asked| asked.line()).collect();
    assert_eq!(lines, ["DELETE /datasets/d/p/x.csv", "DELETE /datasets/d"]);
}
