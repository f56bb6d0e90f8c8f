//! Scheduling costs far less than the 2 ms a task that are promised.

use std::time::Instant;

use api::task::{Assignment, Outcome};
use jobs::Policy;

use crate::bench::{Bench, FakeWorker, done, graph, spec, stage};

fn finish_all(bench: &mut Bench, workers: &mut [FakeWorker], wanted: usize) -> (usize, usize) {
    let (mut tasks, mut ended) = (0, 0);
    while ended < wanted {
        for worker in workers.iter_mut() {
            let start = bench.poll(worker).start;
            for assignment in start {
                tasks += 1;
                let outcome = match &assignment {
                    Assignment::Plan { .. } => Outcome::Planned(graph(vec![stage(1, &[])])),
                    Assignment::Run { task, .. } => done(*task),
                };
                bench.report(worker, assignment.work(), outcome);
            }
        }
        for command in std::mem::take(&mut bench.commands) {
            if let jobs::Command::Finish(ending) = command {
                bench.scheduler.finished(bench.now, ending.record.id);
                ended += 1;
            }
        }
        bench.advance(10);
    }
    (tasks, ended)
}

#[test]
fn a_job_of_10_000_tasks_costs_less_than_half_a_millisecond_a_task() {
    let mut bench = Bench::new();
    bench.saves = false;
    let mut workers: Vec<_> = (0..8).map(|n| FakeWorker::new(&format!("w{n}"), 16)).collect();
    let began = Instant::now();
    bench.planned(1, &mut workers[0], graph(vec![stage(10_000, &[]), stage(1, &[0])]));
    let (tasks, _) = finish_all(&mut bench, &mut workers, 1);
    let each = began.elapsed() / u32::try_from(tasks).unwrap();
    println!("{tasks} tasks, {each:?} each");
    assert!(tasks >= 10_001 && each.as_micros() < 500, "{each:?}");
}

#[test]
fn a_thousand_live_jobs_cost_no_more_than_one() {
    let mut bench = Bench::with(Policy {
        max_active: 100,
        ..Policy::default()
    });
    bench.saves = false;
    let mut workers: Vec<_> = (0..4).map(|n| FakeWorker::new(&format!("w{n}"), 4)).collect();
    for n in 1..=1_000 {
        let mut one = spec();
        one.priority = (n % 3) as i32;
        bench.submit_spec(n, one);
    }
    let began = Instant::now();
    let (tasks, _) = finish_all(&mut bench, &mut workers, 1_000);
    let each = began.elapsed() / u32::try_from(tasks).unwrap();
    println!("{tasks} pieces of work of 1,000 jobs, {each:?} each");
    assert!(each.as_micros() < 500, "{each:?}");
}
