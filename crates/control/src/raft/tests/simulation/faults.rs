//! What happened to the masters, counted: a kind of fault that never happens in all the runs tests nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All kinds.
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    /// A message took longer than usual.
    MessageDelayed,
    MessageLost,
    AnswerLost,
    MessageDoubled,
    /// A message came before one that was sent earlier.
    MessageOvertaken,
    SnapshotBrokenOff,
    /// Two parts that do not hear of each other.
    Partition,
    /// The same, with the leader in the smaller part.
    MinorityLeader,
    /// The same, and one master hears both parts.
    Bridge,
    /// A master that hears nothing.
    Deaf,
    /// A master that nobody hears.
    Mute,
    Storm,
    /// As by SIGKILL: what was written is there, synced or not.
    Crash,
    PowerFailure,
    PowerFailureOfAll,
    /// The process, or the power, ended in the middle of work on the disk.
    CrashAtDisk,
    /// A power failure took bytes that were not synced.
    BytesLost,
    /// It took bytes before others that stayed.
    BytesTorn,
    /// It took, or brought back, names of files.
    NamesLost,
    /// As by SIGSTOP.
    Pause,
    ClockJump,
    /// A sync took longer than an election timeout.
    DiskStall,
    SlowSync,
    DiskFull,
    DiskLost,
    /// A master without its disk was told to keep out.
    Refused,
    CleanStop,
    LeaderMoved,
    MemberRemoved,
    MemberAdded,
    MemberPromoted,
    SnapshotMade,
    SnapshotSent,
}

/// How often each kind happened.
pub(super) struct Tally([AtomicU64; Fault::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Fault::ALL.len()])
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Fault::ALL.iter().map(|fault| (fault, self.count(*fault)));
        f.debug_map().entries(counts).finish()
    }
}

impl Tally {
    /// It happened.
    pub(super) fn note(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, fault: Fault) -> u64 {
        self.0[fault as usize].load(Ordering::Relaxed)
    }

    /// Adds what happened in another run.
    pub(super) fn add(&self, other: &Self) {
        for (sum, count) in self.0.iter().zip(&other.0) {
            sum.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Kinds that did not happen.
    pub(super) fn missing(&self) -> Vec<Fault> {
        let missing = Fault::ALL.iter().filter(|fault| self.count(**fault) == 0);
        missing.copied().collect()
    }
}
