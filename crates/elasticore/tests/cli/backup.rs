//! `elasticore backup` and `elasticore restore`.

use serde_json::{Value, json};

use crate::fake::{Fake, Reply};
use crate::program::run;

fn report(complete: bool) -> Value {
    let mut failed = json!({ "node": "auxiliary-2", "entries": 0, "bytes": 0 });
    if !complete {
        failed["error"] = "no space left".into();
    }
    json!({ "id": "b-1", "complete": complete, "entries": 3, "bytes": 2048,
        "nodes": [{ "node": "auxiliary-1", "entries": 3, "bytes": 2048 }, failed] })
}

#[tokio::test]
async fn created_backup_is_a_line_a_node() {
    let fake = Fake::always(Reply::json(200, report(true))).await;
    let ended = run(&fake.endpoint, &["backup", "create"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        ended.text(),
        "BACKUP\tNODE\tENTRIES\tBYTES\tERROR\nb-1\tauxiliary-1\t3\t2.00 KiB\t\nb-1\tauxiliary-2\t0\t0 B\t\n"
    );
    let asked = fake.only();
    assert_eq!(
        (asked.line().as_str(), asked.header("prefer")),
        ("POST /backup", Some("wait=20"))
    );
}

#[tokio::test]
async fn backup_without_some_nodes_is_a_failure() {
    let fake = Fake::always(Reply::json(200, report(false))).await;
    let ended = run(&fake.endpoint, &["backup", "create"]).await;
    assert!(
        ended.code == 1 && ended.text().contains("no space left"),
        "{} {}",
        ended.code,
        ended.text()
    );
}

#[tokio::test]
async fn backups_are_listed_by_id() {
    let part = json!({ "node": "auxiliary-1", "entries": 3, "bytes": 100, "error": "cut" });
    let set = json!({ "id": "b-1", "made_at_ms": null, "entries": 3, "bytes": 100, "nodes": [part] });
    let listing = |unanswered: Value| json!({ "items": [set.clone()], "unanswered": unanswered });
    let fake = Fake::always(Reply::json(200, listing(json!([])))).await;
    let ended = run(&fake.endpoint, &["backup", "list"]).await;
    assert_eq!(
        (ended.code, ended.text()),
        (
            0,
            "BACKUP\tMADE\tNODES\tENTRIES\tBYTES\tDAMAGED\nb-1\t\t1\t3\t100 B\tauxiliary-1\n"
        )
    );
    let silent = listing(json!([{ "node": "auxiliary-2", "error": "gone" }]));
    let fake = Fake::always(Reply::json(200, silent)).await;
    let ended = run(&fake.endpoint, &["backup", "list"]).await;
    assert!(ended.code == 1 && ended.stderr.contains("auxiliary-2"), "{}", ended.stderr);
}

#[tokio::test]
async fn restore_says_how_and_what() {
    let report = json!({ "mode": "replace", "complete": true, "entries": 3,
        "nodes": [{ "node": "auxiliary-1", "backup": "b-1", "cleared": 7, "entries": 3 }] });
    let fake = Fake::always(Reply::json(200, report)).await;
    let ended = run(&fake.endpoint, &["restore", "--mode", "replace", "--id", "b-1"]).await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, "NODE\tBACKUP\tMADE\tCLEARED\tENTRIES\tERROR\nauxiliary-1\tb-1\t\t7\t3\t\n"),
        "{}",
        ended.stderr
    );
    assert_eq!(fake.only().line(), "POST /restore?mode=replace&id=b-1");
    assert_eq!(run(&fake.endpoint, &["restore"]).await.code, 2, "the mode must be said");
}
