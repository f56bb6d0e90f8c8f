//! Tasks go where their input is, for a while; and workers on which tasks fail are left out.

use api::task::TaskFailure;
use jobs::Policy;

use crate::bench::{Bench, FakeWorker, graph, place, stage, tasks};

/// Two workers that each ran half of a stage of four tasks, and free slots for the next one, which reads it one to one.
fn two_halves() -> (Bench, FakeWorker, FakeWorker) {
    let policy = Policy {
        locality_bytes: 100,
        ..Policy::default()
    };
    let (mut bench, mut a, mut b) = (Bench::with(policy), FakeWorker::new("a", 4), FakeWorker::new("b", 4));
    bench.poll(&mut b);
    bench.planned(1, &mut a, graph(vec![stage(4, &[]), stage(4, &[0]), stage(1, &[1])]));
    let (of_a, of_b) = (tasks(&bench.poll(&mut a)), tasks(&bench.poll(&mut b)));
    assert_eq!((of_a.len(), of_b.len()), (2, 2));
    of_b.into_iter().for_each(|task| bench.done(&mut b, task));
    of_a.into_iter().for_each(|task| bench.done(&mut a, task));
    (bench, a, b)
}

#[test]
fn a_task_that_reads_one_output_goes_to_the_worker_that_has_it() {
    let (mut bench, mut a, mut b) = two_halves();
    let of_b: Vec<_> = (0..2).flat_map(|_| tasks(&bench.poll(&mut b))).collect();
    assert_eq!(of_b.iter().map(place).collect::<Vec<_>>(), [(1, 2), (1, 3)]);
    assert!(bench.poll(&mut b).start.is_empty(), "the others are kept for a");
    let of_a = tasks(&bench.poll(&mut a));
    assert_eq!(of_a.iter().map(place).collect::<Vec<_>>(), [(1, 0), (1, 1)]);
}

#[test]
fn after_a_moment_anybody_may_have_it() {
    let (mut bench, _, mut b) = two_halves();
    bench.advance(Policy::default().locality_wait);
    let of_b: Vec<_> = (0..4).flat_map(|_| tasks(&bench.poll(&mut b))).collect();
    assert_eq!(of_b.len(), 4);
}

#[test]
fn a_task_goes_to_the_host_of_its_blobs() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 4), FakeWorker::new("b", 4));
    (a.address, b.address) = ("10.0.0.1:4001".to_owned(), "10.0.0.2:4001".to_owned());
    bench.poll(&mut b);
    let mut scan = stage(2, &[]);
    scan.blobs = vec![vec!["on-2".to_owned()], vec!["on-1".to_owned(), "on-1".to_owned()]];
    let job = bench.planned(1, &mut a, graph(vec![scan]));
    bench
        .scheduler
        .locate(bench.now, job, |blob| vec![blob.replace("on-", "10.0.0.")]);
    assert_eq!(tasks(&bench.poll(&mut a)).iter().map(place).collect::<Vec<_>>(), [(0, 1)]);
    assert_eq!(tasks(&bench.poll(&mut b)).iter().map(place).collect::<Vec<_>>(), [(0, 0)]);
}

#[test]
fn a_worker_on_which_tasks_fail_that_succeed_elsewhere_gets_nothing_for_a_while() {
    let (mut bench, mut bad, mut good) = (Bench::new(), FakeWorker::new("bad", 1), FakeWorker::new("good", 1));
    bench.planned(1, &mut good, graph(vec![stage(9, &[])]));
    for _ in 0..3 {
        let task = tasks(&bench.poll(&mut bad))[0];
        bench.fail(&mut bad, task, TaskFailure::Retryable("disk full".to_owned()));
        bench.advance(200);
        loop {
            let next = tasks(&bench.poll(&mut good))[0];
            bench.done(&mut good, next);
            if next.partition == task.partition {
                break;
            }
        }
    }
    assert_eq!(bench.scheduler.shunned(bench.now), [bad.id.clone()]);
    assert!(bench.poll(&mut bad).start.is_empty());
    good.slots = 0;
    assert_eq!(bench.poll(&mut good).start.len(), 0);
    let job = bench.submit(2);
    assert_eq!(bench.poll(&mut bad).start[0].work().job(), job, "better than nobody");
    good.slots = 1;
    bad.running.clear();
    bench.advance(Policy::default().shun_for);
    assert!(bench.scheduler.shunned(bench.now).is_empty());
}
