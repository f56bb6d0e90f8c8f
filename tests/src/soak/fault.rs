//! What breaks.

use std::fmt;
use std::str::FromStr;

use super::Engine;

/// A kind of fault, which comes again and again during a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing does.
    None,
    /// A process is killed (kill -9) and started again: mostly the leader.
    Kill,
    /// All of them at once.
    KillAll,
    /// A process is stopped (SIGSTOP) for longer than an election takes, and goes on.
    Pause,
    /// The leader is cut off from all others.
    Minority,
    /// Two sides do not reach each other, and one master reaches both.
    Bridge,
    /// What one master sends reaches nobody, though it hears all; or the other way round.
    OneWay,
    /// Masters are added and removed, the leader too.
    Members,
    /// Another master is told to lead.
    Transfer,
    /// The disk is slow: somebody else has it write and sync large files all the time.
    SlowDisk,
    /// A server of etcd is killed or stopped.
    Etcd,
    /// One master no longer reaches etcd, or one of its servers is reached by nobody, or by some.
    Cut,
    /// Any of these, one after the other.
    Mixed,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::Kill,
        Self::KillAll,
        Self::Pause,
        Self::Minority,
        Self::Bridge,
        Self::OneWay,
        Self::Members,
        Self::Transfer,
        Self::SlowDisk,
        Self::Etcd,
        Self::Cut,
        Self::Mixed,
    ];

    /// Whether an engine can have it.
    #[must_use]
    pub const fn fits(self, engine: Engine) -> bool {
        match engine {
            Engine::Raft => !matches!(self, Self::Etcd | Self::Cut),
            Engine::Etcd => matches!(
                self,
                Self::None | Self::Kill | Self::KillAll | Self::Pause | Self::SlowDisk | Self::Etcd | Self::Cut | Self::Mixed
            ),
        }
    }

    /// Whether it needs a network of its own.
    #[must_use]
    pub fn parts(self, engine: Engine) -> bool {
        engine == Engine::Raft && matches!(self, Self::Minority | Self::Bridge | Self::OneWay | Self::Mixed)
    }

    /// Its name, for people and for the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::Pause => "pause",
            Self::Minority => "minority",
            Self::Bridge => "bridge",
            Self::OneWay => "one-way",
            Self::Members => "members",
            Self::Transfer => "transfer",
            Self::SlowDisk => "slow-disk",
            Self::Etcd => "etcd",
            Self::Cut => "cut",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let fault = Self::ALL.into_iter().find(|fault| fault.name() == name);
        fault.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|fault| fault.name()).collect();
            format!("{name} is none of {}", names.join(", "))
        })
    }
}
