//! SQL on the workers, as clients see it, and with a worker lost on the way.

use std::path::Path;
use std::time::Duration;

use api::ErrorCode;
use futures::StreamExt;
use serde_json::{Value, json};
use system_tests::sample::Orders;
use system_tests::{Api, Node, Sandbox, eventually};

/// A small job on a machine that does other things too.
const SMALL: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_runs_on_both_workers_and_its_result_comes_in_every_format() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 6, 500);

    let job = api.succeed(&orders.revenue_by_region(), SMALL).await;
    let id = job["id"].as_str().unwrap();
    let progress = &job["progress"];
    assert!(progress["stages"]["total"].as_u64() >= Some(2), "{progress}");
    assert_eq!(progress["stages"]["done"], progress["stages"]["total"], "{progress}");
    assert_eq!(progress["tasks"]["done"], progress["tasks"]["total"], "{progress}");
    assert_eq!(job["result"]["rows"], 4, "{job}");
    let columns: Vec<_> = job["result"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["region", "orders", "revenue"]);
    eventually("both workers to have had tasks", SMALL, || async {
        // Six files make six tasks for two workers that pull as many as they have slots for.
        api.succeed(&orders.revenue_by_region(), SMALL).await;
        let counts = [tasks_done(&stack.workers[0]).await, tasks_done(&stack.workers[1]).await];
        if counts.iter().all(|count| *count > 0.0) {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await;

    every_format_holds_the_same_rows(&api, id, &orders, &stack.data).await;
    quick_jobs_answer_at_once(&api, &orders).await;
    same_key_names_the_same_job(&api, &orders).await;
    events_and_plan_are_shown(&api, &orders).await;
    jobs_are_listed_and_cancelled(&api, &orders, id).await;
    wrong_jobs_say_what_and_where(&api, &orders, &stack.data, stack.directory()).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// Tasks a worker has finished.
async fn tasks_done(worker: &Node) -> f64 {
    worker.metrics().await.sum("tasks_total", &["result=\"done\""])
}

async fn every_format_holds_the_same_rows(api: &Api, id: &str, orders: &Orders, data: &Path) {
    let expected = orders.revenue_by_region_answer();
    let json = api.result(id, "json").await;
    assert_eq!(
        (json.header("content-type"), json.json()),
        ("application/json", expected.clone())
    );
    let ndjson = api.result(id, "ndjson").await;
    let lines: Vec<Value> = ndjson
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(Value::Array(lines), expected);
    let csv = api.result(id, "csv").await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv}");
    let rows = expected
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{},{},{}\n", row["region"].as_str().unwrap(), row["orders"], row["revenue"]));
    assert_eq!(
        csv.text().replace('\r', ""),
        format!("region,orders,revenue\n{}", rows.collect::<String>())
    );
    let parquet = api.result(id, "parquet").await.body;
    assert!(
        parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"),
        "{} bytes",
        parquet.len()
    );
    let arrow = api.result(id, "arrow").await.body;
    assert!(
        arrow.starts_with(&[255, 255, 255, 255]) || arrow.starts_with(b"ARROW1"),
        "{:?}",
        &arrow[..8]
    );
    api.get(&format!("/jobs/{id}/result?format=xml"))
        .await
        .problem(400, ErrorCode::InvalidArgument);

    // What came out goes in again, in each format that is read.
    for (format, bytes) in [("parquet", parquet), ("ndjson", ndjson.body), ("csv", csv.body)] {
        let file = data.join(format!("again.{format}"));
        std::fs::write(&file, bytes).unwrap();
        let spec = json!({
            "query": "SELECT region, orders, revenue FROM again ORDER BY region",
            "tables": { "again": { "uri": format!("file://{}", file.display()) } },
        });
        let job = api.succeed(&spec, SMALL).await;
        assert_eq!(
            api.result(job["id"].as_str().unwrap(), "json").await.json(),
            expected,
            "{format}"
        );
    }

    // More rows than fit into the commit: the whole way through files and streams.
    let wide = json!({
        "query": "SELECT * FROM orders ORDER BY id",
        "tables": { "orders": { "uri": orders.uri(), "format": "csv" } },
    });
    let job = api.succeed(&wide, SMALL).await;
    let id = job["id"].as_str().unwrap();
    let text = api.result(id, "csv").await.text();
    assert_eq!(text.lines().count() as u64, orders.rows() + 1);
    let ids = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().parse::<u64>().unwrap());
    assert!(ids.eq(0..orders.rows()), "rows are missing or out of order");
}

async fn quick_jobs_answer_at_once(api: &Api, orders: &Orders) {
    let answer = api
        .request("POST", "/jobs")
        .header("prefer", "wait=30")
        .json(&orders.revenue_by_region())
        .send()
        .await;
    let job = answer.expect(200).json();
    assert_eq!(
        (&job["state"], &job["rows"]),
        (&json!("succeeded"), &orders.revenue_by_region_answer()),
        "{job}"
    );
    let answer = api
        .request("POST", "/jobs")
        .header("prefer", "wait=0")
        .json(&orders.revenue_by_region())
        .send()
        .await;
    let id = answer.expect(202).json()["id"].as_str().unwrap().to_owned();
    api.finished(&id, SMALL).await;
}

async fn same_key_names_the_same_job(api: &Api, orders: &Orders) {
    let submit = |spec: Value| {
        api.request("POST", "/jobs")
            .header("idempotency-key", "order-66")
            .json(&spec)
            .send()
    };
    let (first, second) = (
        submit(orders.revenue_by_region()).await,
        submit(orders.revenue_by_region()).await,
    );
    assert_eq!(first.json()["id"], second.json()["id"], "{first} and {second}");
    let mut other = orders.revenue_by_region();
    other["query"] = json!("SELECT 1");
    submit(other).await.problem(409, ErrorCode::Conflict);
    api.finished(first.json()["id"].as_str().unwrap(), SMALL).await;
}

async fn events_and_plan_are_shown(api: &Api, orders: &Orders) {
    let id = api.submit(&orders.revenue_by_region()).await;
    let stream = api.request("GET", &format!("/jobs/{id}/events")).stream().await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let heard = tokio::time::timeout(SMALL, stream.bytes_stream().map(|bytes| bytes.unwrap()).collect::<Vec<_>>()).await;
    let heard = String::from_utf8(heard.expect("the stream ends with the job").concat()).unwrap();
    assert!(heard.contains("\"succeeded\""), "{heard}");
    let plan = api.get(&format!("/jobs/{id}/plan")).await.expect(200).text();
    assert!(plan.contains("Aggregate"), "{plan}");
}

async fn jobs_are_listed_and_cancelled(api: &Api, orders: &Orders, first: &str) {
    let mut spec = orders.pairs_by_region();
    spec["name"] = json!("to be cancelled");
    let id = api.submit(&spec).await;
    let listed = api.get("/jobs?limit=2").await.expect(200).json();
    assert_eq!(listed["items"][0]["id"], id.as_str(), "newest first: {listed}");
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let (mut after, mut seen) = (listed["next"].clone(), Vec::new());
    while let Some(last) = after.as_str() {
        let page = api.get(&format!("/jobs?limit=2&after={last}")).await.expect(200).json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        after = page["next"].clone();
    }
    assert_eq!(
        seen.last().map(String::as_str),
        Some(first),
        "the first job stands on the last page"
    );

    let answer = api.delete(&format!("/jobs/{id}")).await;
    assert!(matches!(answer.status, 200 | 202 | 204), "{answer}");
    let job = api.finished(&id, SMALL).await;
    assert_eq!(
        (&job["state"], &job["name"]),
        (&json!("cancelled"), &json!("to be cancelled"))
    );
    api.get(&format!("/jobs/{id}/result")).await.problem(409, ErrorCode::Conflict);
}

async fn wrong_jobs_say_what_and_where(api: &Api, orders: &Orders, data: &Path, outside: &Path) {
    let secret = outside.join("secret.csv");
    std::fs::write(&secret, "a\n1\n").unwrap();
    std::os::unix::fs::symlink(&secret, data.join("link.csv")).unwrap();
    std::os::unix::fs::symlink(outside, data.join("up")).unwrap();
    std::fs::write(data.join("broken.parquet"), "PAR1 not really PAR1").unwrap();
    let (data, secret) = (data.display(), secret.display());
    let table = |uri: String| json!({ "query": "SELECT * FROM t", "tables": { "t": { "uri": uri } } });
    let sql = |query: &str| json!({ "query": query, "tables": { "orders": { "uri": orders.uri(), "format": "csv" } } });
    let cases = [
        (sql("SELEKT 1"), vec!["SELEKT"]),
        (sql("SELECT nope FROM orders"), vec!["nope"]),
        (sql("SELECT * FROM missing_table"), vec!["missing_table"]),
        (sql("SELECT nope(1)"), vec!["nope"]),
        (sql("DROP TABLE orders"), vec![]),
        (sql("COPY orders TO '/tmp/stolen.csv'"), vec![]),
        (sql("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'"), vec![]),
        (sql("SELECT 1; SELECT 2"), vec![]),
        (table(format!("file://{data}/absent.csv")), vec!["absent.csv"]),
        (table(format!("file://{secret}")), vec!["DATA_DIRS"]),
        (table(format!("file://{data}/../secret.csv")), vec!["DATA_DIRS"]),
        (table(format!("file://{data}/%2e%2e/secret.csv")), vec![]),
        (table(format!("file://{data}/link.csv")), vec!["DATA_DIRS"]),
        (table(format!("file://{data}/up/secret.csv")), vec!["DATA_DIRS"]),
        (table(format!("file://{data}/broken.parquet")), vec!["broken.parquet"]),
        (table("http://127.0.0.1/x.csv".to_owned()), vec![]),
        (table("not a uri".to_owned()), vec![]),
    ];
    let mut wrong = Vec::new();
    for (spec, expected) in cases {
        // What is seen at once is refused at once; what a worker finds makes the job fail with the same kind of problem.
        let answer = api
            .request("POST", "/jobs")
            .header("prefer", "wait=60")
            .json(&spec)
            .send()
            .await;
        let problem = if answer.status == 200 || answer.status == 202 {
            let job = api.finished(answer.json()["id"].as_str().unwrap(), SMALL).await;
            assert_eq!(job["state"], "failed", "{spec} gave {job}");
            job["error"].clone()
        } else {
            answer.json()
        };
        let status = problem["status"].as_u64().unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or_default();
        if !(400..500).contains(&status) || !expected.iter().all(|word| detail.contains(word)) {
            wrong.push(format!("{spec} gave {problem}, expected 4xx with {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!Path::new("/tmp/stolen.csv").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_in_the_middle_of_a_job_costs_time_and_nothing_else() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 8, 2_000);
    let id = api.submit(&orders.pairs_by_region()).await;
    eventually("both workers to have finished tasks of the job", SMALL, || async {
        let job = api.job(&id).await?;
        assert!(job["state"] != "succeeded", "the job is too quick for this test");
        let counts = [tasks_done(&stack.workers[0]).await, tasks_done(&stack.workers[1]).await];
        if counts.iter().all(|count| *count > 0.0) {
            Ok(())
        } else {
            Err(format!("{counts:?}, {job}"))
        }
    })
    .await;

    // Its running tasks and its finished shuffle files are both gone.
    stack.workers[0].kill();
    let job = api.finished(&id, Duration::from_secs(180)).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert!(
        job["progress"]["retries"].as_u64() > Some(0),
        "something was done again: {job}"
    );
    assert_eq!(api.result(&id, "json").await.json(), orders.pairs_by_region_answer());

    stack.workers[0].start();
    stack.workers[0].ready(Duration::from_secs(60)).await;
    let job = api.succeed(&orders.revenue_by_region(), SMALL).await;
    assert_eq!(
        api.result(job["id"].as_str().unwrap(), "json").await.json(),
        orders.revenue_by_region_answer()
    );
    assert_eq!(stack.panics(), Vec::<String>::new());
}
