//! Tasks that do not fit into memory, and workers that have none left.

use api::task::{Assignment, Outcome, TaskFailure, WorkId};
use jobs::{Policy, TaskResult};

use crate::bench::{Bench, FakeWorker, graph, stage, tasks};

fn too_big() -> TaskFailure {
    TaskFailure::OutOfMemory("the hash join needs 2 GB".to_owned())
}

fn is_alone(assignment: &Assignment) -> bool {
    matches!(assignment, Assignment::Run { alone: true, .. })
}

#[test]
fn a_task_that_ran_out_of_memory_is_tried_again_with_a_worker_of_its_own() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 3));
    bench.planned(1, &mut w, graph(vec![stage(4, &[])]));
    let first = tasks(&bench.poll(&mut w));
    bench.fail(&mut w, first[0], too_big());
    assert!(bench.poll(&mut w).start.is_empty(), "the worker is emptied first");
    bench.done(&mut w, first[1]);
    assert!(bench.poll(&mut w).start.is_empty());
    bench.done(&mut w, first[2]);
    let start = bench.poll(&mut w).start;
    assert!(start.len() == 1 && is_alone(&start[0]), "{start:?}");
    assert!(bench.poll(&mut w).start.is_empty(), "nothing beside it");
    let alone = w.running[0];
    let WorkId::Task(task) = alone else { panic!("a task") };
    bench.done(&mut w, task);
    assert_eq!(tasks(&bench.poll(&mut w))[0].partition, 3, "and then the others go on");
    assert_eq!(bench.count(TaskResult::OutOfMemory), 1);
}

#[test]
fn while_one_worker_is_emptied_the_others_go_on() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 2), FakeWorker::new("b", 2));
    bench.planned(1, &mut a, graph(vec![stage(8, &[])]));
    let of_a = tasks(&bench.poll(&mut a));
    bench.poll(&mut b);
    bench.poll(&mut a);
    bench.fail(&mut a, of_a[0], too_big());
    assert!(bench.poll(&mut a).start.is_empty());
    let before = b.running.len();
    b.slots = 4;
    assert!(!bench.poll(&mut b).start.is_empty() && b.running.len() > before);
}

#[test]
fn what_does_not_fit_alone_is_planned_with_smaller_tasks_and_then_fails_with_what_to_raise() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 4));
    let job = bench.submit(1);
    for (run, partitions) in [(0, 4), (1, 16), (2, 64)] {
        let start = bench.poll(&mut w).start;
        let Assignment::Plan {
            attempt,
            target_partitions,
            ..
        } = &start[0]
        else {
            panic!("planning was expected: {start:?}")
        };
        assert_eq!((*attempt >> 16, *target_partitions), (run, partitions));
        let plan = start[0].work();
        bench.report(&mut w, plan, Outcome::Planned(graph(vec![stage(1, &[])])));
        for _ in 0..2 {
            let task = tasks(&bench.poll(&mut w))[0];
            assert_eq!(task.run(), run);
            bench.fail(&mut w, task, too_big());
        }
    }
    let detail = bench.failure();
    assert!(
        detail.contains("16 times as many partitions: the hash join needs 2 GB; raise WORKER_MEMORY"),
        "{detail}"
    );
    bench.scheduler.finished(bench.now, job);
}

#[test]
fn a_busy_worker_that_is_short_of_memory_gets_no_more() {
    let (mut bench, mut w) = (Bench::with(Policy::default()), FakeWorker::new("w", 4));
    bench.planned(1, &mut w, graph(vec![stage(8, &[])]));
    w.slots = 1;
    bench.poll(&mut w);
    w.slots = 4;
    w.memory = (1_000, 950);
    assert!(bench.poll(&mut w).start.is_empty());
    w.memory = (1_000, 500);
    assert_eq!(bench.poll(&mut w).start.len(), 3);
    let running = std::mem::take(&mut w.running);
    for work in running {
        let WorkId::Task(task) = work else { panic!("a task") };
        bench.done(&mut w, task);
    }
    w.memory = (1_000, 1_000);
    assert!(!bench.poll(&mut w).start.is_empty(), "an idle one always may");
}
