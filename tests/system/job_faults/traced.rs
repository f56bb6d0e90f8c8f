//! A worker that dies under a trace.

use std::time::Duration;

use api::member::Role;
use system_tests::{Collector, Sandbox, SeenSpan, eventually};

use super::work::{all_busy, orders, right, slow_map, slow_map_answer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempt_that_died_with_its_worker_is_an_event_of_the_job_and_the_next_one_a_span() {
    let collector = Collector::start().await;
    let mut builder = Sandbox::raft().auxiliaries(1);
    for role in [Role::Master, Role::Worker] {
        builder = builder.set(role, "OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    }
    let mut stack = builder.start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let trace = format!("{:032x}", fastrand::u128(1..));
    let submission = api.request("POST", "/jobs").json(&slow_map(&orders));
    let accepted = submission.header("x-request-id", &trace).send().await.expect(202);
    all_busy(&stack.workers).await;
    stack.workers[0].kill();
    right(&api, accepted.json()["id"].as_str().unwrap(), &slow_map_answer(&orders)).await;

    let survivor = stack.workers[1].name();
    let is = |span: &SeenSpan, name: &str, value: &str| span.attributes.get(name).is_some_and(|found| found == value);
    let (job, again) = eventually("the job, and a second attempt", Duration::from_secs(60), || async {
        let spans = collector.spans_of(&trace);
        let job = spans.iter().find(|span| span.name == "job").cloned();
        let mut tasks = spans.iter().filter(|span| span.name == "task");
        let again = tasks.find(|span| is(span, "elasticore.task.attempt", "1") && is(span, "elasticore.task.outcome", "done"));
        job.zip(again.cloned()).ok_or_else(|| format!("{spans:#?}"))
    })
    .await;
    assert!(job.events.contains(&"task_lost".to_owned()), "{job:#?}");
    assert!(is(&job, "elasticore.job.state", "succeeded"), "{job:#?}");
    assert_eq!((again.parent.as_str(), again.instance.as_str()), (job.id.as_str(), survivor));
    assert_eq!(stack.panics(), Vec::<String>::new());
}
