//! The ends of a job.

use api::job::{JobState, ResultInfo};
use api::task::ResultPart;
use api::{ErrorCode, Problem};

use super::{Phase, Run};
use crate::command::Ending;
use crate::record::PartLocation;
use crate::save::Save;
use crate::{Millis, Policy};

impl Run {
    /// Ends the job with a problem; nothing when it is at its end already.
    pub(crate) fn fail(&mut self, problem: Problem, now: Millis) -> Option<Ending> {
        if !matches!(self.phase, Phase::Finishing) {
            self.record.error = Some(problem);
        }
        self.end(JobState::Failed, now, Vec::new())
    }

    /// Ends the job because somebody asked for it.
    pub(crate) fn cancel(&mut self, now: Millis) -> Option<Ending> {
        self.end(JobState::Cancelled, now, Vec::new())
    }

    /// Ends the job when its result is whole.
    pub(crate) fn succeed_if_complete(&mut self, now: Millis, policy: &Policy) -> Option<Ending> {
        let Phase::Running(stages) = &self.phase else { return None };
        if !stages.is_complete() {
            return None;
        }
        let (parts, rows): (Vec<_>, Vec<_>) = stages.result().into_iter().unzip();
        let inline = |part: &ResultPart| {
            if let ResultPart::Inline(bytes) = part {
                bytes.len() as u64
            } else {
                0
            }
        };
        let inline_bytes: u64 = parts.iter().map(inline).sum();
        if inline_bytes > policy.max_inline_bytes {
            let detail = format!(
                "the result came back as {inline_bytes} bytes inline; at most {} fit",
                policy.max_inline_bytes
            );
            return self.fail(Problem::new(ErrorCode::TooLarge, detail), now);
        }
        let locations = parts.iter().zip(&rows).map(|(part, rows)| PartLocation::of(part, *rows));
        let locations: Vec<_> = locations.collect();
        self.record.result = Some(ResultInfo {
            rows: rows.iter().sum(),
            bytes: locations.iter().map(PartLocation::bytes).sum(),
            columns: stages.columns().to_vec(),
        });
        self.record.parts = locations;
        self.record.output = self.record.spec.output.clone().or_else(|| stages.graph.output.clone());
        self.end(JobState::Succeeded, now, parts)
    }

    fn end(&mut self, state: JobState, now: Millis, parts: Vec<ResultPart>) -> Option<Ending> {
        if matches!(self.phase, Phase::Finishing) {
            return None;
        }
        self.settle();
        self.refresh_progress();
        let Save { graph, chunks, .. } = self.save();
        self.phase = Phase::Finishing;
        self.journal.changed();
        self.record.state = state;
        self.record.finished_at_ms = Some(now);
        self.record.progress.running = 0;
        if state == JobState::Succeeded {
            let progress = &mut self.record.progress;
            progress.stages.done = progress.stages.total;
            progress.tasks.done = progress.tasks.total;
        }
        Some(Ending {
            record: self.record.clone(),
            parts,
            graph,
            chunks,
        })
    }

    /// Ends the job when its time is up.
    pub(crate) fn expire(&mut self, now: Millis) -> Option<Ending> {
        if now < self.deadline || matches!(self.phase, Phase::Finishing) {
            return None;
        }
        let detail = format!("the job did not end within its timeout of {} s", self.timeout / 1_000);
        self.fail(Problem::new(ErrorCode::Timeout, detail), now)
    }
}
