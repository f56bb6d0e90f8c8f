//! The records of live jobs as far as they are written: writing behind, and the end at once.

use std::time::Duration;

use api::job::JobState;
use api::task::{ReportResponse, ResultPart};
use api::{ErrorCode, JobId, Problem};
use control::{Op, Revision};
use jobs::{CancelError, Ending, JobRecord, Millis, Save};
use tokio::sync::oneshot;

use super::ledger::{Ledger, Written};
use crate::app::jobs::datasets::{self, Commit};
use crate::app::jobs::{Error, Jobs, keys, saved};

/// How far what is durable of a running job may lag behind.
pub(super) const WRITE_BEHIND: Millis = 200;
/// Longest pause between two tries to write what cannot be written now: a full disk is not asked ten times a second.
const LONGEST_PAUSE: Millis = 5_000;
/// Tries to end a job whose dataset is being changed by others.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) type Cancelled = oneshot::Sender<Result<JobRecord, CancelError>>;

/// One live job.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) revision: Revision,
    /// A write is under way; the next one waits for it.
    pub(super) writing: bool,
    /// Since when the job in memory is newer.
    pub(super) dirty: Option<Millis>,
    /// The end, not written yet.
    pub(super) ending: Option<Box<Ending>>,
    /// Who waits for the end.
    pub(super) cancelled: Vec<Cancelled>,
    /// Reports that are answered when this version is durable.
    pub(super) held: Vec<(u64, oneshot::Sender<ReportResponse>)>,
    /// After a write that failed: how long the next one waits, and until when.
    pub(super) pause: (Millis, Millis),
}

/// A write that has come to its end, done or not.
pub(super) struct Write {
    pub(super) job: JobId,
    pub(super) what: What,
    pub(super) outcome: Result<Written, Error>,
}

/// What was written.
pub(super) enum What {
    /// The job as of a version.
    Version(u64),
    /// Its end.
    End,
    /// Nothing: the job may not write the dataset, and must fail.
    Refused(Problem),
}

impl Page {
    /// Something changed.
    pub(super) fn touch(&mut self, now: Millis) {
        self.dirty.get_or_insert(now);
    }

    /// A write failed: it is tried again, each time after a longer pause.
    pub(super) fn failed(&mut self, now: Millis) {
        let pause = (self.pause.0 * 2).clamp(WRITE_BEHIND, LONGEST_PAUSE);
        self.pause = (pause, now + pause);
        self.touch(now);
    }

    /// Whether it is time to write.
    pub(super) fn is_due(&self, now: Millis) -> bool {
        !self.writing
            && self.pause.1 <= now
            && (self.ending.is_some() || self.dirty.is_some_and(|since| since + WRITE_BEHIND <= now))
    }

    /// All up to `version` is durable: whoever reported it may rest.
    pub(super) fn release(&mut self, version: u64) {
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().partition(|(at, _)| *at <= version);
        self.held = waiting;
        for (_, answer) in done {
            answer.send(durable(false)).ok();
        }
    }
}

/// The answer to a report that need not be sent again.
pub(super) const fn durable(forget: bool) -> ReportResponse {
    ReportResponse { durable: true, forget }
}

/// Writes what is new of a live job.
pub(super) async fn write(ledger: Ledger, save: Save, replaces: Revision) -> Write {
    let write = async {
        let mut pieces = match &save.graph {
            Some(graph) => saved::plan_pieces(save.job, save.record.run, graph)?,
            None => Vec::new(),
        };
        pieces.extend(saved::chunk_pieces(save.job, save.record.run, &save.chunks)?);
        ledger.write(&save.record, replaces, pieces).await
    };
    Write {
        job: save.job,
        what: What::Version(save.version),
        outcome: write.await,
    }
}

/// Writes the end of a job, with all that belongs to it.
pub(super) async fn end(jobs: Jobs, ledger: Ledger, mut ending: Ending, replaces: Revision) -> Write {
    let job = ending.record.id;
    let mut outcome = try_end(&jobs, &ledger, &ending, replaces).await;
    if matches!(outcome, Err(Error::Store(control::Error::Invalid(_)))) && ending.record.state != JobState::Succeeded {
        // What its tasks said is too much for one transaction, and only for people now: it must not keep the job from ending.
        ending.chunks.clear();
        outcome = try_end(&jobs, &ledger, &ending, replaces).await;
    }
    let refusal = match &outcome {
        // A failure cannot be refused in turn: it is tried again with the next tick.
        _ if ending.record.state == JobState::Failed => {
            return Write {
                job,
                what: What::End,
                outcome,
            };
        }
        Err(error @ (Error::Invalid(_) | Error::Conflict(_) | Error::NotFound(_))) => {
            Problem::new(error.code(), error.to_string())
        }
        // Asking again would change nothing.
        Err(Error::Store(error @ control::Error::Invalid(_))) => Problem::new(
            ErrorCode::TooLarge,
            format!(
                "the end of the job cannot be written: {error}; use fewer tables, shorter options, or a dataset of fewer files"
            ),
        ),
        _ => {
            return Write {
                job,
                what: What::End,
                outcome,
            };
        }
    };
    // An earlier try may have been answered too late, and have done it: then its own dataset is in the way.
    match jobs.record(job).await {
        Ok(record) if record.state.is_final() => Write {
            job,
            what: What::End,
            outcome: Ok(Written::Final),
        },
        Ok(_) => Write {
            job,
            what: What::Refused(refusal),
            outcome,
        },
        Err(error) => Write {
            job,
            what: What::End,
            outcome: Err(error),
        },
    }
}

async fn try_end(jobs: &Jobs, ledger: &Ledger, ending: &Ending, replaces: Revision) -> Result<Written, Error> {
    let Ending {
        record,
        parts,
        graph,
        chunks,
    } = ending;
    let mut pieces = match graph {
        Some(graph) => saved::graph_pieces(record.id, record.run, graph)?,
        None => Vec::new(),
    };
    pieces.extend(saved::chunk_pieces(record.id, record.run, chunks)?);
    for (partition, part) in parts.iter().enumerate() {
        if let ResultPart::Inline(bytes) = part {
            pieces.push((keys::part(record.id, partition), bytes.clone()));
        }
    }
    for _ in 0..TRIES {
        let mut with = jobs.commit_dataset(record).await?;
        if graph.is_none() {
            // Only for those who would have run it.
            let prefix = keys::stage_plans(record.id, record.run);
            with.then.push(Op::DeletePrefix { prefix });
        }
        match ledger.end(record, replaces, pieces.clone(), with).await? {
            Written::Contended => tokio::time::sleep(PAUSE).await,
            decided => return Ok(decided),
        }
    }
    Err(Error::Unavailable(
        "the dataset is being changed by others all the time".to_owned(),
    ))
}

impl Jobs {
    async fn commit_dataset(&self, record: &JobRecord) -> Result<Commit, Error> {
        let (Some(output), Some(result)) = (&record.output, &record.result) else {
            return Ok(Commit::default());
        };
        let written = datasets::Written {
            job: record.id,
            namespace: &record.namespace,
            output,
            parts: &record.parts,
            columns: &result.columns,
        };
        self.inner.dataset_output.commit(&written).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_tried_again_after_ever_longer_pauses() {
        let (mut page, mut now, mut tries) = (Page::default(), 0, Vec::new());
        page.touch(now);
        while now < 60_000 {
            now += 100;
            if page.is_due(now) {
                tries.push(now);
                page.failed(now);
            }
        }
        assert_eq!(tries[..6], [200, 400, 800, 1_600, 3_200, 6_400]);
        assert!(
            tries.len() < 20 && tries.windows(2).all(|two| two[1] - two[0] <= LONGEST_PAUSE + 100),
            "{tries:?}"
        );
        page.pause = (0, 0);
        assert!(page.is_due(now + 1));
    }
}
