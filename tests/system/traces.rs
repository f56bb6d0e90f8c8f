//! One request is one trace over all nodes it passes, and a collector that is not there is nobody's trouble.

use std::collections::BTreeSet;
use std::time::Duration;

use api::member::Role;
use serde_json::json;
use system_tests::sample::Orders;
use system_tests::{Builder, Collector, Sandbox, SeenSpan, eventually};

use crate::up::{Up, banner, interrupt};

/// Time for spans to arrive, and for small jobs, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(60);
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn exporting(mut builder: Builder, endpoint: &str) -> Builder {
    for role in [Role::Master, Role::Auxiliary, Role::Worker] {
        builder = builder.set(role, "OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    }
    builder
}

/// An id of a trace that nobody has.
fn trace() -> String {
    format!("{:032x}", fastrand::u128(1..))
}

/// Spans of these names and kinds, each a part of the next and the last one of `caller`, once they have come. There may be others beside
/// them: a frame that was refused because the ring was changing is sent again.
async fn way<const N: usize>(collector: &Collector, trace: &str, caller: &str, steps: [(&str, i32); N]) -> [SeenSpan; N] {
    eventually(&format!("{steps:?} of {caller}"), SOON, || async {
        let spans = collector.spans_of(trace);
        let walk = |first: &SeenSpan| {
            let mut found: Vec<SeenSpan> = Vec::new();
            let mut next = Some(first.clone());
            for (name, kind) in steps {
                let span = next.take().filter(|span| span.name == name && span.kind == kind)?;
                next = spans.iter().find(|other| other.id == span.parent).cloned();
                found.push(span);
            }
            found.last().is_some_and(|last| last.parent == caller).then_some(found)
        };
        let found = spans.iter().find_map(walk).and_then(|found| found.try_into().ok());
        found.ok_or_else(|| format!("{spans:#?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_jobs_are_traced_over_all_nodes() {
    let collector = Collector::start().await;
    let builder = Sandbox::etcd(1).masters(2).auxiliaries(2).workers(2);
    let mut stack = exporting(builder, &collector.endpoint())
        .set(Role::Master, "OTEL_EXPORTER_OTLP_HEADERS", "x-scope=a%20team")
        .start()
        .await;
    a_write_passes_a_master_and_both_its_owners(&stack, &collector).await;
    what_the_caller_does_not_record_is_not_recorded(&stack, &collector).await;
    who_has_no_token_leaves_no_spans(&stack, &collector).await;
    a_job_is_a_part_of_the_request_that_submitted_it(&stack, &collector).await;
    for words in ["hidden-key", "hidden-value", "SELECT", "orders.csv", &stack.token] {
        assert!(!collector.saw(words), "{words} is in a span");
    }
    let of_masters = |head: &String| head.starts_with("post /v1/traces ") && head.contains("\r\nx-scope: a team\r\n");
    assert!(collector.heads().iter().any(of_masters), "{:?}", collector.heads());
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn a_write_passes_a_master_and_both_its_owners(stack: &Sandbox, collector: &Collector) {
    let (trace, caller) = (trace(), "00f067aa0ba902b7");
    let write = stack.api().request("PUT", "/cache/hidden-key?ttl=60");
    let write = write.header("traceparent", &format!("00-{trace}-{caller}-01"));
    write.body("hidden-value").send().await.expect(201);
    let steps = [
        ("frame replica", SERVER),
        ("frame", CLIENT),
        ("frame batch", SERVER),
        ("frame", CLIENT),
        ("PUT /cache/{key}", SERVER),
    ];
    let [replica, copy, primary, call, master] = way(collector, &trace, caller, steps).await;
    assert_eq!(master.service, "elasticore-master");
    assert!(["master-1", "master-2"].contains(&&*master.instance), "{master:?}");
    assert_eq!(master.attributes["http.route"], "/cache/{key}");
    assert_eq!(master.attributes["http.response.status_code"], "201");
    assert_eq!(master.error, None);
    assert_eq!(call.instance, master.instance);
    assert_eq!(
        (&copy.instance, primary.service.as_str()),
        (&primary.instance, "elasticore-auxiliary")
    );
    let owners = BTreeSet::from([primary.instance, replica.instance]);
    assert_eq!(owners, ["auxiliary-1", "auxiliary-2"].map(str::to_owned).into());
}

async fn what_the_caller_does_not_record_is_not_recorded(stack: &Sandbox, collector: &Collector) {
    let (quiet, loud, caller) = (trace(), trace(), "00f067aa0ba902b7");
    for (trace, flags) in [(&quiet, "00"), (&loud, "01")] {
        let read = stack.api().request("GET", "/cache/hidden-key");
        let read = read.header("traceparent", &format!("00-{trace}-{caller}-{flags}"));
        read.send().await.expect(200);
    }
    let read = [("frame batch", SERVER), ("frame", CLIENT), ("GET /cache/{key}", SERVER)];
    way(collector, &loud, caller, read).await;
    assert!(collector.spans_of(&quiet).is_empty());
}

async fn who_has_no_token_leaves_no_spans(stack: &Sandbox, collector: &Collector) {
    let (strange, known, caller) = (trace(), trace(), "00f067aa0ba902b7");
    for (trace, token, status) in [(&strange, "not this", 401), (&known, stack.token.as_str(), 200)] {
        let listing = stack.auxiliaries[0].private().request("GET", "/internal/v1/blobs");
        let listing = listing.header("x-cluster-token", token);
        listing
            .header("traceparent", &format!("00-{trace}-{caller}-01"))
            .send()
            .await
            .expect(status);
    }
    // A node's spans leave in the order in which they ended.
    way(collector, &known, caller, [("GET /internal/v1/blobs", SERVER)]).await;
    assert!(collector.spans_of(&strange).is_empty());
}

async fn a_job_is_a_part_of_the_request_that_submitted_it(stack: &Sandbox, collector: &Collector) {
    let orders = Orders::write(&stack.data, "orders", 6, 500);
    // Both masters are asked: one leads, and the other hands the job on to it. Jobs are recorded without being asked.
    for master in &stack.masters {
        let trace = trace();
        let submission = master.public().request("POST", "/jobs").json(&orders.revenue_by_region());
        let accepted = submission.header("x-request-id", &trace).send().await.expect(202);
        let id = accepted.json()["id"].as_str().unwrap().to_owned();
        let done = stack.api().finished(&id, SOON).await;
        assert_eq!(done["state"], "succeeded", "{done}");

        let [door] = way(collector, &trace, "", [("POST /jobs", SERVER)]).await;
        assert_eq!(door.instance, master.name());
        let job = named(collector, &trace, "job").await.remove(0);
        assert_eq!(job.attributes["elasticore.job.id"], id);
        assert_eq!(job.attributes["elasticore.job.state"], "succeeded");
        let spans = collector.spans_of(&trace);
        let accepting = spans.iter().find(|span| span.id == job.parent).unwrap();
        assert_eq!(
            (accepting.kind, &accepting.instance),
            (SERVER, &job.instance),
            "{accepting:?}"
        );
        if accepting.id != door.id {
            let call = spans.iter().find(|span| span.id == accepting.parent).unwrap();
            assert_eq!((call.kind, &call.parent), (CLIENT, &door.id), "{call:?}");
        }

        let plan = named(collector, &trace, "plan").await.remove(0);
        assert_eq!((&plan.parent, plan.service.as_str()), (&job.id, "elasticore-worker"));
        let expected = done["progress"]["tasks"]["total"].as_u64().unwrap();
        let tasks = eventually("all tasks of the job", SOON, || async {
            let tasks = named(collector, &trace, "task").await;
            let is_done = |task: &&SeenSpan| {
                task.attributes
                    .get("elasticore.task.outcome")
                    .is_some_and(|outcome| outcome == "done")
            };
            if tasks.iter().filter(is_done).count() as u64 == expected {
                Ok(tasks)
            } else {
                Err(format!("{expected} are expected: {tasks:#?}"))
            }
        })
        .await;
        assert!(tasks.iter().all(|task| task.parent == job.id), "{tasks:#?}");
        let places: BTreeSet<_> = tasks
            .iter()
            .map(|task| {
                (
                    &task.attributes["elasticore.task.stage"],
                    &task.attributes["elasticore.task.partition"],
                )
            })
            .collect();
        assert_eq!(places.len() as u64, expected, "{tasks:#?}");
        assert!(
            tasks
                .iter()
                .all(|task| task.attributes.contains_key("elasticore.task.attempt"))
        );
    }
}

/// The spans of this name, once there are some.
async fn named(collector: &Collector, trace: &str, name: &str) -> Vec<SeenSpan> {
    eventually(&format!("a span {name}"), SOON, || async {
        let all = collector.spans_of(trace);
        let named: Vec<_> = all.iter().filter(|span| span.name == name).cloned().collect();
        if named.is_empty() {
            Err(format!("{all:#?}"))
        } else {
            Ok(named)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_process_are_told_apart() {
    let (collector, up) = (Collector::start().await, Up::new());
    let mut process = up.start_with(1, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())]);
    banner(&mut process).await;
    let (trace, caller) = (trace(), "00f067aa0ba902b7");
    let write = up.api().request("PUT", "/cache/k");
    let write = write.header("traceparent", &format!("00-{trace}-{caller}-01"));
    write.body("v").send().await.expect(201);
    // What has not left yet leaves when the process ends.
    interrupt(process).await;
    let write = [("frame batch", SERVER), ("frame", CLIENT), ("PUT /cache/{key}", SERVER)];
    let [owner, _, master] = way(&collector, &trace, caller, write).await;
    assert_eq!((&*master.service, &*master.instance), ("elasticore-master", "master-1"));
    let told = owner.service == "elasticore-auxiliary" && owner.instance.starts_with("auxiliary-");
    assert!(told, "{owner:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_costs_spans_and_nothing_else() {
    let collector = Collector::start().await;
    let builder = exporting(Sandbox::raft().auxiliaries(2).workers(1), &collector.endpoint());
    let mut stack = builder.set(Role::Master, "OTEL_TRACES_SAMPLER", "always_on").start().await;
    let api = stack.api();
    let first = trace();
    let write = api.request("PUT", "/cache/k").header("x-request-id", &first);
    write.body("v").send().await.expect(201);
    named(&collector, &first, "PUT /cache/{key}").await;

    drop(collector);
    eventually("spans to be dropped", SOON, || async {
        let asked = std::time::Instant::now();
        api.get("/cache/k").await.expect(200);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        let metrics = stack.masters[0].metrics().await;
        match metrics.sum("trace_spans_total", &["outcome=\"dropped\""]) {
            0.0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let orders = Orders::write(&stack.data, "orders", 2, 100);
    api.succeed(&orders.revenue_by_region(), SOON).await;
    assert!(
        stack.masters[0]
            .metrics()
            .await
            .sum("trace_spans_total", &["outcome=\"exported\""])
            > 0.0
    );
    let warned = stack.masters[0].log().matches("spans cannot be exported").count();
    assert_eq!(warned, 1, "said once");
    let answer = api
        .post("/cache/_batch", &json!({ "ops": [{ "op": "get", "key": "k" }] }))
        .await;
    assert_eq!(answer.expect(200).json()["results"][0]["status"], 200);
    assert_eq!(stack.panics(), Vec::<String>::new());
}
