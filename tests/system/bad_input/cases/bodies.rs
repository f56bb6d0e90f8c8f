//! Wrong bodies and headers: JSON, conditions, and jobs.

use super::{Case, INVALID, NOT_FOUND, case, post, with_body, with_headers};

pub(super) fn json() -> Vec<Case> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_member = format!(r#"{{"ops":{deep}}}"#);
    let many = vec![r#"{"op":"get","key":"k"}"#; 1001].join(",");
    let steps = vec![r#"{"op":"get","key":"k"}"#; 129].join(",");
    let long_key = "k".repeat(1025);
    let mut cases = vec![
        post("/cache/_batch", &format!(r#"{{"ops":[{many}]}}"#), INVALID),
        post("/cache/_batch", r#"{"ops":[{"op":"get","key":""}]}"#, INVALID),
        post(
            "/cache/_batch",
            &format!(r#"{{"ops":[{{"op":"get","key":"{long_key}"}}]}}"#),
            INVALID,
        ),
        post("/cache/_batch", r#"{"ops":[{"op":"frobnicate","key":"k"}]}"#, INVALID),
        post("/cache/_batch", r#"{"ops":[{"op":"get","key":"k","value":"v"}]}"#, INVALID),
        post("/cache/_batch", r#"{"ops":[{"op":"put","key":"k"}]}"#, INVALID),
        post("/cache/_batch", r#"{"ops":[{"op":"get","key":17}]}"#, INVALID),
        post("/cache/_batch", r#"{"ops":[],"ops":[]}"#, INVALID),
        post("/kv/_txn", &format!(r#"{{"then":[{steps}]}}"#), INVALID),
        post("/kv/_txn", r#"{"compare":[{"key":"k"}]}"#, INVALID),
        post("/kv/_txn", r#"{"compare":[{"key":"k","exists":true,"revision":1}]}"#, INVALID),
        post("/kv/_txn", r#"{"compare":[{"key":"k","revision":-1}]}"#, INVALID),
        post(
            "/kv/_txn",
            r#"{"then":[{"op":"put","key":"k","value":"1"},{"op":"put","key":"k","value":"2"}]}"#,
            INVALID,
        ),
        post("/kv/_txn", r#"{"then":[{"op":"incr","key":"k"}]}"#, INVALID),
    ];
    for path in ["/cache/_batch", "/kv/_txn", "/jobs"] {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "\"text\"",
            "{\"ops\":",
            "{} {}",
            "{\"bogus\":1}",
            "{'ops':[]}",
            "\u{feff}{}",
            "{\"\\ud800\":1}",
            &deep,
            &deep_member,
        ] {
            cases.push(post(path, body, INVALID));
        }
        cases.push(with_body(
            &format!("POST {path}"),
            &[("Content-Type", "application/json")],
            b"{\"ops\":\"\xff\xfe\"}",
            INVALID,
        ));
    }
    cases
}

pub(super) fn conditions() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in [
        "PUT /cache/k",
        "DELETE /cache/k",
        "PUT /cache/?key=k&value=v",
        "PUT /kv/k",
        "DELETE /kv/k",
    ] {
        for headers in [
            &[("If-Match", "yesterday")][..],
            &[("If-Match", "")],
            &[("If-Match", "\"-1\"")],
            &[("If-Match", "\"99999999999999999999999\"")],
            &[("If-Match", "\"1")],
            &[("If-Match", "caf\u{e9}")],
            &[("If-None-Match", "\"5\"")],
            &[("If-Match", "\"1\""), ("If-None-Match", "*")],
        ] {
            cases.push(with_headers(line, headers, INVALID));
        }
    }
    cases
}

pub(super) fn jobs() -> Vec<Case> {
    let absent = "00000000-0000-7000-8000-000000000000";
    let long = format!(r#"{{"query":"SELECT '{}'"}}"#, "x".repeat(2 << 20));
    let long_key = "k".repeat(300);
    let mut cases = vec![
        post("/jobs", &long, INVALID),
        case(&format!("GET /jobs/{absent}"), NOT_FOUND),
        case(&format!("DELETE /jobs/{absent}"), NOT_FOUND),
        case(&format!("GET /jobs/{absent}/result"), NOT_FOUND),
        case(&format!("GET /jobs/{absent}/plan"), NOT_FOUND),
        case(&format!("GET /jobs/{absent}/events"), NOT_FOUND),
        case(&format!("GET /jobs/{absent}/result?format=xml"), INVALID),
    ];
    for id in ["17", "not-an-id", "%FF", "00000000-0000-7000-8000-00000000000g"] {
        for suffix in ["", "/result", "/plan", "/events"] {
            cases.push(case(&format!("GET /jobs/{id}{suffix}"), INVALID));
        }
        cases.push(case(&format!("DELETE /jobs/{id}"), INVALID));
    }
    for body in [
        r#"{"query":""}"#,
        r#"{"query":"   "}"#,
        r#"{"query":17}"#,
        r#"{"kind":"mapreduce","query":"SELECT 1"}"#,
        r#"{"query":"SELECT 1","max_attempts":0}"#,
        r#"{"query":"SELECT 1","max_attempts":11}"#,
        r#"{"query":"SELECT 1","timeout":0}"#,
        r#"{"query":"SELECT 1","timeout":-5}"#,
        r#"{"query":"SELECT 1","priority":99999999999}"#,
        r#"{"query":"SELECT 1","bogus":true}"#,
        r#"{"query":"SELECT 1","tables":{"t":{}}}"#,
        r#"{"query":"SELECT 1","tables":{"t":{"uri":"file:///x.csv","format":"xls"}}}"#,
        r#"{"query":"SELECT 1","tables":{"t":{"uri":"file:///x.csv","options":{"delimiter":"ab"}}}}"#,
        r#"{"query":"SELECT 1","tables":{"t":{"uri":"file:///x.csv","options":{"bogus":1}}}}"#,
    ] {
        cases.push(post("/jobs", body, INVALID));
    }
    for (name, value) in [
        ("Idempotency-Key", ""),
        ("Idempotency-Key", long_key.as_str()),
        ("Idempotency-Key", "caf\u{e9}"),
        ("Prefer", "wait=-1"),
        ("Prefer", "wait=soon"),
        ("Prefer", "wait=99999999999999999999"),
    ] {
        let headers = [("Content-Type", "application/json"), (name, value)];
        cases.push(with_body("POST /jobs", &headers, br#"{"query":"SELECT 1"}"#, INVALID));
    }
    cases
}
