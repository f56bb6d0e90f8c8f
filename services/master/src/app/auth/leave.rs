//! What a job reads and writes, its submitter must be allowed to read and write.

use access::{Action, Caller, Denied, Resource};
use api::job::JobSpec;

/// Whether a caller may have this job run in a namespace: that they may run jobs there is known already. Datasets and keys are those
/// of the job's namespace; files, buckets and other hosts belong to nobody's, and so want leave for all of them.
///
/// # Errors
/// What is missing.
pub fn check_job(caller: &Caller, namespace: &str, spec: &JobSpec) -> Result<(), Denied> {
    for table in spec.tables.values() {
        if table.dataset.is_some() {
            caller.check(Resource::Datasets, Action::Read, namespace)?;
        }
        match table.uri.as_deref() {
            None => {}
            Some(uri) if uri.starts_with("kv:") => caller.check(Resource::Kv, Action::Read, namespace)?,
            Some(_) => caller.check_everywhere(Resource::Jobs, Action::Run)?,
        }
    }
    if spec.output.is_some() || writes(&spec.query) {
        caller.check(Resource::Datasets, Action::Write, namespace)?;
    }
    Ok(())
}

/// Whether a statement may write a dataset: all that do have the word `CREATE`. Nothing is parsed, since who parses otherwise than the
/// planner is deceived; a query that has the word in a text or a comment wants leave to write, and no harm is done.
fn writes(query: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    query.split(|c| !is_part(c)).any(|word| word.eq_ignore_ascii_case("create"))
}

#[cfg(test)]
mod tests {
    use access::Kind;
    use serde_json::json;

    use super::*;

    fn check(grants: &[&str], spec: serde_json::Value) -> Result<(), Denied> {
        let caller = Caller {
            id: "k".into(),
            name: "".into(),
            kind: Kind::Key,
            grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            expires_at_ms: None,
        };
        check_job(&caller, "a", &serde_json::from_value(spec).unwrap())
    }

    fn table(table: serde_json::Value) -> serde_json::Value {
        json!({ "query": "select * from t", "tables": { "t": table } })
    }

    #[test]
    fn jobs_read_what_their_submitter_may_read() {
        let jobs = "jobs:a:jobs";
        for (grant, spec) in [
            ("reader:a:datasets", table(json!({ "dataset": "d" }))),
            ("reader:a:kv", table(json!({ "uri": "kv:users/" }))),
            ("jobs:*:jobs", table(json!({ "uri": "file:///data/x.csv" }))),
            ("jobs:*:jobs", table(json!({ "uri": "http://169.254.169.254/latest" }))),
            ("jobs:*:jobs", table(json!({ "uri": "s3://bucket/x" }))),
            (
                "writer:a:datasets",
                json!({ "query": "select 1", "output": { "dataset": "d" } }),
            ),
            ("writer:a:datasets", json!({ "query": "create table d as select 1" })),
        ] {
            let denied = check(&[jobs, "admin:b:*"], spec.clone()).expect_err(&spec.to_string());
            assert!(denied.to_string().contains("wants a grant such as"), "{denied}");
            check(&[jobs, grant], spec).unwrap();
        }
        check(&[jobs], json!({ "query": "select 1" })).unwrap();
    }

    #[test]
    fn statements_with_the_word_create_want_leave_to_write() {
        for query in [
            "select 1",
            "with x as (select created_at, create_1 from t) select * from x",
            "",
        ] {
            assert!(!writes(query), "{query}");
        }
        for statement in [
            "create table d as select 1",
            "-- x\n/* y /* z */ */ CREATE OR REPLACE TABLE d AS SELECT 1",
            "\u{feff}Create\u{a0}table d as select 1",
            "explain create table d as select 1",
            "select 'create'",
        ] {
            assert!(writes(statement), "{statement}");
        }
    }
}
