//! What all fault tests share: a load before, during and after the fault, and what is asked of the system in the end.

use std::time::Duration;

use system_tests::Sandbox;
use system_tests::workload::{Outage, Report, Running, Window, Workload, check};

/// Load before the fault and after it, so that either is seen.
const CALM: Duration = Duration::from_secs(2);
/// Time for a stable ring and equal copies after a fault is over.
const HEALED: Duration = Duration::from_secs(30);
/// Repeats each fault; one round unless set.
pub(super) const ROUNDS: &str = "ELASTICORE_FAULT_ROUNDS";

/// A fault under load.
pub(super) struct Fault {
    name: String,
    running: Running,
}

/// The longest outages that are bearable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) reads: Duration,
    pub(super) writes: Duration,
}

impl Limits {
    /// Nobody may notice more than a hiccup of a busy machine.
    pub(super) const NONE: Self = Self {
        reads: Duration::from_secs(2),
        writes: Duration::from_secs(2),
    };
    /// Reads go on through the other copy; writes wait until the node is out of the ring: 2 s by design, and a busy machine.
    pub(super) const ONE_NODE: Self = Self {
        reads: Duration::from_secs(2),
        writes: Duration::from_secs(5),
    };
}

/// How often a fault is repeated.
pub(super) fn rounds() -> usize {
    std::env::var(ROUNDS).map_or(1, |text| text.parse().expect("ELASTICORE_FAULT_ROUNDS is a number"))
}

impl Fault {
    /// Puts a load on a stack where all is well.
    pub(super) async fn begin(name: &str, stack: &Sandbox) -> Self {
        Self::begin_with(name, stack, Workload::through(&stack.doors())).await
    }

    /// Puts this load on a stack where all is well.
    pub(super) async fn begin_with(name: &str, stack: &Sandbox, load: Workload) -> Self {
        let everyone: Vec<_> = (0..stack.auxiliaries.len()).collect();
        stack.settled(&everyone, 0, HEALED).await;
        let running = load.start().await;
        let fault = Self {
            name: name.to_owned(),
            running,
        };
        fault.lasts(CALM).await;
        fault
    }

    /// The load goes on for a while.
    pub(super) async fn lasts(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Time since the load began, as in its record.
    pub(super) fn now(&self) -> Duration {
        self.running.now()
    }

    /// Seed of the load.
    pub(super) const fn seed(&self) -> u64 {
        self.running.seed()
    }

    /// The fault is over: the system has to be what these auxiliaries (by index) should make it. Ends the load and judges.
    pub(super) async fn end(self, stack: &mut Sandbox, members: &[usize], limits: Limits) {
        let outage = self.judge(stack, members, None).await;
        assert!(outage.reads <= limits.reads, "reads: {outage:?}, {limits:?}");
        assert!(outage.writes <= limits.writes, "writes: {outage:?}, {limits:?}");
    }

    /// As [`Self::end`], after a time in which nothing was there to answer, which may have forgotten what `forgiven` says.
    pub(super) async fn end_of_all(self, stack: &mut Sandbox, members: &[usize], forgiven: Option<Window>) {
        self.judge(stack, members, forgiven).await;
    }

    async fn judge(mut self, stack: &mut Sandbox, members: &[usize], forgiven: Option<Window>) -> Outage {
        self.lasts(CALM).await;
        let span = (self.running.from(), self.now());
        // Nothing is under way when copies are compared.
        let mut history = self.running.stop().await;
        stack.settled(members, 0, HEALED).await;
        stack.copies_agree(members, HEALED).await;
        let masters: Vec<_> = stack.masters.iter().filter(|master| master.runs()).collect();
        let masters: Vec<_> = masters.iter().map(|master| master.public_address()).collect();
        self.running.read_back(&mut history, &masters).await;

        let wrongs = check(&history, forgiven);
        let report = Report::new(&self.name, self.running.seed(), &history, &wrongs, span);
        report.publish();
        println!("{}", history.failures());
        assert!(wrongs.is_empty(), "{report}\n{}", history.explain(&wrongs));
        assert_eq!(stack.panics(), Vec::<String>::new());
        report.outage()
    }
}
