//! Changing a manifest: read, change, write if nobody else did meanwhile, or begin again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use control::{Compare, Consistency, Op, OpResult, Revision, Txn};
use uuid::Uuid;

use super::intent::Intent;
use super::{Datasets, Error, Manifest, Name};

/// Attempts before a change gives way to the others.
const ATTEMPTS: u32 = 100;
/// Longest pause before an attempt.
const PAUSE: Duration = Duration::from_millis(50);

impl Datasets {
    /// The manifest and its revision.
    pub(super) async fn held(&self, name: &Name) -> Result<Option<(Manifest, Revision)>, Error> {
        let entry = self.store.get(&name.key(), Consistency::Linearizable).await?;
        entry
            .map(|entry| Ok((Manifest::read(&entry)?, entry.mod_revision)))
            .transpose()
    }

    /// Changes a manifest, or makes or removes one (None). `change` is called again with every newer one until it could be written; an
    /// intent must hold throughout. What is written has a new version.
    pub(super) async fn change<T>(
        &self,
        name: &Name,
        intent: Option<&Intent>,
        change: impl FnMut(Option<Manifest>) -> Result<Change<T>, Error>,
    ) -> Result<T, Error> {
        let mut unknown = false;
        match self.try_to_change(name, intent, change, &mut unknown).await {
            // Whatever failed after it, an earlier attempt may have been executed.
            Err(Error::Unavailable(detail) | Error::Store(control::Error::Unavailable(detail))) if unknown => {
                Err(control::Error::Timeout(detail).into())
            }
            outcome => outcome,
        }
    }

    async fn try_to_change<T>(
        &self,
        name: &Name,
        intent: Option<&Intent>,
        mut change: impl FnMut(Option<Manifest>) -> Result<Change<T>, Error>,
        unknown: &mut bool,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            let held = self.held(name).await?;
            let key = name.key();
            let unchanged = match &held {
                Some((_, revision)) => Compare::ModRevision(key.clone(), *revision),
                None => Compare::Absent(key.clone()),
            };
            let (next, outcome) = match change(held.map(|(manifest, _)| manifest))? {
                Change::Done(outcome) => return Ok(outcome),
                Change::To(next, outcome) => (next, outcome),
            };
            let write = match next {
                Some(mut next) => {
                    next.version = Uuid::now_v7().to_string();
                    next.modified_at_ms = now_ms();
                    let value = Bytes::from(next.encode()?);
                    Op::Put { key, value, lease: None }
                }
                None => Op::Delete { key },
            };
            let mut txn = Txn {
                compares: vec![unchanged],
                then: vec![write],
                otherwise: Vec::new(),
            };
            if let Some(intent) = intent {
                txn.compares.push(intent.holds());
                txn.then.push(intent.end());
                txn.otherwise.push(Op::Get {
                    key: intent.key().to_owned(),
                });
            }
            match self.store.txn(txn).await {
                Ok(answer) if answer.succeeded => return Ok(outcome),
                Ok(answer) => {
                    let gone = matches!(answer.results.first(), Some(OpResult::Range(found)) if found.items.is_empty());
                    if gone && !self.is_done(name, &mut change).await? {
                        return Err(lost());
                    }
                }
                // It may have been done: the next look at the manifest tells.
                Err(control::Error::Timeout(_)) => *unknown = true,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
        }
        Err(Error::Unavailable(format!(
            "dataset {name} is changed too often to be changed; try again"
        )))
    }

    /// Whether a change was made by an attempt that seemed to fail.
    async fn is_done<T>(
        &self,
        name: &Name,
        change: &mut impl FnMut(Option<Manifest>) -> Result<Change<T>, Error>,
    ) -> Result<bool, Error> {
        let held = self.held(name).await?.map(|(manifest, _)| manifest);
        Ok(matches!(change(held)?, Change::Done(_)))
    }
}

/// What is to become of a manifest.
pub(super) enum Change<T> {
    /// Nothing: it is so already.
    Done(T),
    /// This, or none.
    To(Option<Manifest>, T),
}

/// The claim on what was written has ended.
pub(super) fn lost() -> Error {
    Error::Unavailable(
        "the upload took part in nothing: this master could not reach the control store for too long; nothing was stored, send it again"
            .to_owned(),
    )
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
