//! Systems with a promise broken on purpose: the simulation must find each of them, or it shows nothing.

use std::sync::Arc;

use api::cache::ReplicaAnswer;
use bytes::Bytes;
use cache::owner::Call;
use cache::{CallError, Kind};
use store::cache::{RecordState, bucket_of};

use super::network::Frame;
use super::node::Life;
use super::world::Place;

/// What is wrong with the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing.
    None,
    /// What is sent to one replica is said to have arrived, and was never sent.
    LosesReplicas,
    /// Owners take calls of any epoch.
    IgnoresEpochs,
    /// Owners take calls that are meant for an earlier life of theirs.
    IgnoresLives,
    /// Owners forget at once what was deleted.
    ForgetsDeletes,
    /// The leader does not wait until everybody holds what they must.
    Hurries,
}

impl Mutant {
    /// The one that is asked for by name, to replay a seed with it.
    pub(crate) fn asked_for() -> Self {
        let name = std::env::var("CACHE_SIM_MUTANT").unwrap_or_default();
        let all = [
            Self::LosesReplicas,
            Self::IgnoresEpochs,
            Self::IgnoresLives,
            Self::ForgetsDeletes,
            Self::Hurries,
        ];
        all.into_iter()
            .find(|mutant| format!("{mutant:?}") == name)
            .unwrap_or(Self::None)
    }

    /// The answer to a call that is not sent at all.
    pub(crate) fn instead(self, frame: &Frame) -> Option<Result<Bytes, CallError>> {
        let lost = self == Self::LosesReplicas && frame.call.kind == Kind::Replica && frame.to == Place::Auxiliary(1);
        let answer = || postcard::to_stdvec(&ReplicaAnswer::default()).expect("an answer that travels");
        lost.then(|| Ok(answer().into()))
    }

    /// The call as the owner takes it.
    pub(crate) fn disguise(self, call: Call, life: &Arc<Life>) -> Call {
        match self {
            Self::IgnoresEpochs if life.owner.epoch().0 > 0 => Call {
                epoch: life.owner.epoch(),
                ..call
            },
            Self::IgnoresLives => Call {
                boot_id: life.boot_id,
                ..call
            },
            Self::ForgetsDeletes => {
                let store = life.owner.store();
                let mut deleted = Vec::new();
                store.for_each(|record| {
                    if matches!(record.state, RecordState::Deleted { .. }) {
                        deleted.push(record.hash());
                    }
                });
                for hash in deleted {
                    let listed = store.list(bucket_of(hash), |other| other == hash, life.member.started_at_ms);
                    store.drop_listed(&listed);
                }
                call
            }
            _ => call,
        }
    }

    /// The fault (its number among all) that brings it to light, so that it need not be waited for.
    pub(crate) const fn shows_after(self) -> Option<u64> {
        match self {
            Self::IgnoresLives => Some(2),
            Self::ForgetsDeletes => Some(12),
            _ => None,
        }
    }

    /// Whether it takes many clients on few keys to bring it to light.
    pub(crate) fn needs_heat(self) -> bool {
        self == Self::ForgetsDeletes
    }

    /// Whether the leader takes everybody for synced.
    pub(crate) fn believes_synced(self) -> bool {
        self == Self::Hurries
    }
}
