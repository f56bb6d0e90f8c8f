//! `elasticore cache`.

use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::program::{run, run_with};

#[tokio::test]
async fn get_writes_the_value_byte_for_byte() {
    let value = b"\x00\xff no line end".to_vec();
    let fake = Fake::always(Reply::new(200, value.clone())).await;
    let ended = run(&fake.endpoint, &["cache", "get", "user/1 é", "--namespace", "a&b"]).await;
    assert_eq!((ended.code, ended.stdout), (0, value));
    assert_eq!(fake.only().line(), "GET /cache/user%2F1%20%C3%A9?ns=a%26b");
}

#[tokio::test]
async fn get_writes_to_a_file_that_appears_whole() {
    let fake = Fake::always(Reply::new(200, "value")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out.bin");
    let ended = run(&fake.endpoint, &["cache", "get", "k", "-o", file.to_str().unwrap()]).await;
    assert_eq!((ended.code, ended.text()), (0, ""), "{}", ended.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"value");
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing else is left behind"
    );
}

#[tokio::test]
async fn miss_is_exit_code_3_with_the_request_id() {
    let fake = Fake::always(Reply::problem(404, "not_found", "the cache holds nothing under this key")).await;
    let ended = run(&fake.endpoint, &["cache", "get", "k"]).await;
    assert_eq!((ended.code, ended.text()), (3, ""));
    assert_eq!(
        ended.stderr,
        "elasticore: the cache holds nothing under this key (not_found, request the-request-id)\n"
    );
}

#[tokio::test]
async fn get_as_json_is_exactly_what_the_api_says() {
    let body = r#"{"key":"k",  "value":"v","version":7,"ttl":null,"node":"auxiliary-1"}"#;
    let fake = Fake::always(Reply::new(200, body).header("content-type", "application/json")).await;
    let ended = run(&fake.endpoint, &["cache", "get", "k", "--output", "json"]).await;
    assert_eq!((ended.code, ended.text()), (0, format!("{body}\n").as_str()));
    assert_eq!(fake.only().line(), "GET /cache/?key=k");
}

#[tokio::test]
async fn keys_that_are_no_path_segment_go_in_the_query() {
    let entry = json!({ "key": "_x", "value": "AP8=", "encoding": "base64", "version": 1, "ttl": null, "node": "n" });
    let fake = Fake::always(Reply::json(200, entry)).await;
    assert_eq!(run(&fake.endpoint, &["cache", "get", "_x"]).await.stdout, b"\x00\xff");
    assert_eq!(run(&fake.endpoint, &["cache", "set", "..", "a b"]).await.code, 0);
    let lines: Vec<String> = fake.asked().iter().map(|asked| asked.line()).collect();
    assert_eq!(lines, ["GET /cache/?key=_x", "PUT /cache/?key=..&value=a%20b"]);
    let binary = run_with(&fake.endpoint, &["cache", "set", "_x", "-"], b"\xff").await;
    assert_eq!(binary.code, 2, "{}", binary.stderr);
}

#[tokio::test]
async fn set_sends_value_ttl_and_condition() {
    let fake = Fake::always(
        Reply::new(201, "")
            .header("etag", "\"42\"")
            .header("x-cache-node", "auxiliary-2"),
    )
    .await;
    let arguments = [
        "cache",
        "set",
        "k",
        "-5",
        "--ttl",
        "5m",
        "--if-absent",
        "--content-type",
        "text/plain",
    ];
    let ended = run(&fake.endpoint, &arguments).await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, "stored k on auxiliary-2, version 42\n"),
        "{}",
        ended.stderr
    );
    let asked = fake.only();
    assert_eq!(
        (asked.line().as_str(), asked.body.as_slice()),
        ("PUT /cache/k?ttl=5m", &b"-5"[..])
    );
    assert_eq!(
        (asked.header("if-none-match"), asked.header("content-type")),
        (Some("*"), Some("text/plain"))
    );
}

#[tokio::test]
async fn set_as_json_has_the_shape_of_an_entry() {
    let fake = Fake::always(
        Reply::new(201, "")
            .header("etag", "\"42\"")
            .header("x-cache-node", "auxiliary-2"),
    )
    .await;
    let ended = run(&fake.endpoint, &["cache", "set", "k", "v", "--ttl", "5m", "--output", "json"]).await;
    assert_eq!(
        ended.text(),
        "{\"key\":\"k\",\"version\":42,\"ttl\":300,\"node\":\"auxiliary-2\"}\n"
    );
}

#[tokio::test]
async fn value_comes_from_standard_input_or_a_file() {
    let fake = Fake::always(Reply::new(200, "").header("etag", "\"1\"")).await;
    run_with(&fake.endpoint, &["cache", "set", "k", "-"], b"piped\n").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file").unwrap();
    run(&fake.endpoint, &["cache", "set", "k", &format!("@{}", file.path().display())]).await;
    let bodies: Vec<Vec<u8>> = fake.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, [b"piped\n".to_vec(), b"from a file".to_vec()]);
    let missing = run(&fake.endpoint, &["cache", "set", "k", "@/no/such/file"]).await;
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("/no/such/file"), "{}", missing.stderr);
}

#[tokio::test]
async fn failed_condition_is_exit_code_4() {
    let fake = Fake::always(Reply::problem(412, "precondition_failed", "the key has version 3")).await;
    let ended = run(&fake.endpoint, &["cache", "set", "k", "v", "--if-absent"]).await;
    assert_eq!(ended.code, 4, "{}", ended.stderr);
}

#[tokio::test]
async fn delete_says_what_it_did() {
    let fake = Fake::always(Reply::json(
        200,
        json!({ "key": "k", "version": 0, "ttl": null, "node": "n" }),
    ))
    .await;
    let ended = run(&fake.endpoint, &["cache", "delete", "k"]).await;
    assert_eq!((ended.code, ended.text()), (0, "deleted k\n"));
    assert_eq!(fake.only().line(), "DELETE /cache/?key=k");
}

#[tokio::test]
async fn stale_time_goes_along_with_the_ttl() {
    let fake = Fake::always(Reply::new(201, "").header("etag", "\"42\"")).await;
    run(&fake.endpoint, &["cache", "set", "k", "v", "--ttl", "60", "--stale", "5m"]).await;
    assert_eq!(fake.only().line(), "PUT /cache/k?ttl=60&stale=5m");
    let alone = run(&fake.endpoint, &["cache", "set", "k", "v", "--stale", "5m"]).await;
    assert_eq!(alone.code, 2, "{}", alone.stderr);
}

#[tokio::test]
async fn touch_says_how_long_the_entry_lives() {
    let entry = json!({ "key": "k", "version": 9, "ttl": 3600, "node": "n" });
    let fake = Fake::always(Reply::json(200, entry)).await;
    let ended = run(&fake.endpoint, &["cache", "touch", "k", "--ttl", "1h", "--namespace", "n"]).await;
    assert_eq!((ended.code, ended.text()), (0, "touched k, 3600 s to live\n"));
    assert_eq!(fake.only().line(), "POST /cache/_touch?key=k&ns=n&ttl=1h");
}

#[tokio::test]
async fn incr_shows_the_number_alone() {
    let fake = Fake::always(Reply::json(200, json!({ "value": -4 }))).await;
    let ended = run(&fake.endpoint, &["cache", "incr", "_hits", "--by", "-5"]).await;
    assert_eq!((ended.code, ended.text()), (0, "-4\n"));
    assert_eq!(fake.only().line(), "POST /cache/_incr?key=_hits&by=-5");
}

#[tokio::test]
async fn clear_wants_to_know_what() {
    let fake = Fake::always(Reply::json(200, json!({ "deleted": 1 }))).await;
    for (arguments, line) in [
        (
            &["cache", "clear", "--prefix", "user/"][..],
            "POST /cache/_delete?prefix=user%2F",
        ),
        (&["cache", "clear", "--namespace", "n"], "POST /cache/_delete?ns=n"),
        (&["cache", "clear", "--all"], "POST /cache/_delete?all=true"),
    ] {
        let ended = run(&fake.endpoint, arguments).await;
        assert_eq!((ended.code, ended.text()), (0, "removed 1 entry\n"), "{}", ended.stderr);
        assert_eq!(fake.asked().last().unwrap().line(), line);
    }
    for wrong in [&["cache", "clear"][..], &["cache", "clear", "--all", "--namespace", "n"]] {
        assert_eq!(run(&fake.endpoint, wrong).await.code, 2, "{wrong:?}");
    }
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn batch_sends_its_lines_in_one_request() {
    let problem = json!({ "type": "/problems/conflict", "title": "t", "status": 409, "detail": "no number", "code": "conflict" });
    let entry = json!({ "status": 200, "key": "a", "value": "1", "version": 1, "ttl": null, "node": "n" });
    let results = json!({ "results": [entry, { "status": 409, "error": problem }] });
    let fake = Fake::always(Reply::json(200, results)).await;
    let ops = b"{\"op\":\"get\",\"key\":\"a\"}\n\n{\"op\":\"incr\",\"key\":\"b\",\"by\":2}\n";
    let ended = run_with(&fake.endpoint, &["cache", "batch", "-", "--namespace", "n"], ops).await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, "STATUS\tKEY\tVALUE\n200\ta\t1\n409\t\tno number\n"),
        "{}",
        ended.stderr
    );
    let asked = fake.only();
    assert_eq!(asked.line(), "POST /cache/_batch?ns=n");
    assert_eq!(
        asked.json(),
        json!({ "ops": [{ "op": "get", "key": "a" }, { "op": "incr", "key": "b", "by": 2 }] })
    );
    let wrong = run_with(&fake.endpoint, &["cache", "batch", "-"], b"{\"op\":\"get\"}").await;
    assert!(wrong.code == 2 && wrong.stderr.contains("line 1"), "{}", wrong.stderr);
}

#[tokio::test]
async fn batch_with_operations_that_were_not_executed_is_exit_code_5() {
    let problem =
        json!({ "type": "/problems/unavailable", "title": "t", "status": 503, "detail": "later", "code": "unavailable" });
    let fake = Fake::always(Reply::json(200, json!({ "results": [{ "status": 503, "error": problem }] }))).await;
    let ended = run(&fake.endpoint, &["cache", "batch", r#"{"op":"get","key":"a"}"#]).await;
    assert_eq!(ended.code, 5, "{}", ended.stderr);
}
