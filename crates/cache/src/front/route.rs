//! From an operation to its answer: owners in turn, and again when the ring changes, until the deadline.
//!
//! What may be sent again: everything that was certainly not executed; reads; and writes of unknown outcome under the same
//! stamp, for an owner that has it answers as the first time, except increments. A write that met a newer version is
//! stamped again only if no earlier attempt can have been executed: else its value could come back after it was replaced.

use std::sync::Arc;
use std::time::Duration;

use api::ErrorCode;
use cluster::{NodeIndex, Plan};
use futures::future::join_all;
use hash_ring::hash_key;
use tokio::time::Instant;

use super::Cache;
use super::lane::{Carried, Stamped};
use super::operation::{Answer, Failure, Operation, Outcome, Said};
use super::table::Table;
use crate::CallError;

/// Pause before an operation is sent again, unless the ring changes sooner.
const PAUSE: Duration = Duration::from_millis(25);

/// An operation that is being carried out.
struct Journey {
    stamped: Stamped,
    until: Instant,
    /// Why the last attempt failed.
    reason: String,
}

/// What one attempt leads to.
enum Next {
    Ended(Result<Answer, Failure>),
    /// The same again, at the next reader at once if there is one.
    Elsewhere,
    /// The same again, at once.
    Again,
    /// The same again, when the ring has changed or a moment has passed.
    Pause,
}

impl Cache {
    /// The ways by the ring that is in force.
    fn table(&self) -> Arc<Table> {
        let table = self.table.load();
        if self.ways.rings.is_current(&table.routing) {
            return Arc::clone(&table);
        }
        let routing = self.ways.rings.routing();
        let fresh = Arc::new(Table::new(routing, self.options, &self.ways));
        self.table.store(Arc::clone(&fresh));
        fresh
    }

    pub(super) async fn route(&self, operation: Operation, until: Instant) -> Result<Answer, Failure> {
        let version = if operation.action.is_write() { self.stamps.next() } else { 0 };
        if version != 0 && self.pulse.is_late() {
            return Err(Failure::new(ErrorCode::Unavailable, STOOD_STILL));
        }
        self.travel(Journey {
            stamped: Stamped::new(operation, version),
            until,
            reason: String::new(),
        })
        .await
    }

    /// Everything for one owner travels together; what did not succeed at once goes on alone, in its order.
    pub(super) async fn route_all(&self, operations: Vec<Operation>, until: Instant) -> Vec<Result<Answer, Failure>> {
        let table = self.table();
        if operations.iter().any(|operation| operation.action.is_write()) && self.pulse.is_late() {
            let refused = || Err(Failure::new(ErrorCode::Unavailable, STOOD_STILL));
            return operations.iter().map(|_| refused()).collect();
        }
        let mut answers: Vec<Option<Result<Answer, Failure>>> = operations.iter().map(|_| None).collect();
        let mut bundles: Vec<(Vec<usize>, Vec<Stamped>)> = Vec::new();
        bundles.resize_with(table.routing.nodes().count() + 1, Default::default);
        for (place, operation) in operations.into_iter().enumerate() {
            let version = if operation.action.is_write() { self.stamps.next() } else { 0 };
            let primary = self.plan(&table, &operation).primary();
            // Those without an owner are gathered behind the last one.
            let bundle = primary.map_or(bundles.len() - 1, NodeIndex::get);
            bundles[bundle].0.push(place);
            bundles[bundle].1.push(Stamped::new(operation, version));
        }
        let nodes: Vec<_> = table.routing.nodes().map(Some).chain([None]).collect();
        let carried = join_all(
            nodes
                .into_iter()
                .zip(bundles)
                .filter(|(_, (places, _))| !places.is_empty())
                .map(|(node, (places, bundle))| self.bundle(&table, node, places, bundle, until)),
        );
        for (place, answer) in carried.await.into_iter().flatten() {
            answers[place] = Some(answer);
        }
        let lost = || Err(Failure::new(ErrorCode::Internal, "an operation of the batch got no answer"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }

    async fn bundle(
        &self,
        table: &Table,
        node: Option<NodeIndex>,
        places: Vec<usize>,
        bundle: Vec<Stamped>,
        until: Instant,
    ) -> Vec<(usize, Result<Answer, Failure>)> {
        let only_reads = bundle.iter().all(|stamped| stamped.operation.action.is_read());
        let lane = node.and_then(|node| table.lane(node, only_reads));
        let carried = match lane {
            Some(lane) => lane.carry(bundle).await,
            None => {
                let nobody = || Carried::Not(CallError::NotExecuted(NOBODY.to_owned()));
                bundle.into_iter().map(|stamped| (stamped, nobody())).collect()
            }
        };
        let node = node.unwrap_or_default();
        let mut answers = Vec::with_capacity(carried.len());
        for (place, (stamped, carried)) in places.into_iter().zip(carried) {
            let mut journey = Journey {
                stamped,
                until,
                reason: String::new(),
            };
            let answer = match self.judge(table, node, &mut journey, carried) {
                Next::Ended(answer) => answer,
                Next::Elsewhere | Next::Again | Next::Pause => self.travel(journey).await,
            };
            answers.push((place, answer));
        }
        answers
    }

    fn plan(&self, table: &Table, operation: &Operation) -> Plan {
        table.routing.plan(hash_key(&operation.namespace, operation.key.as_str()))
    }

    async fn travel(&self, mut journey: Journey) -> Result<Answer, Failure> {
        'routed: loop {
            let table = self.table();
            let plan = self.plan(&table, &journey.stamped.operation);
            let is_read = journey.stamped.operation.action.is_read();
            let readers = if is_read {
                &plan.readers[..]
            } else {
                &plan.readers[..plan.readers.len().min(1)]
            };
            if readers.is_empty() {
                journey.reason = NOBODY.to_owned();
            }
            for node in readers {
                if Instant::now() >= journey.until {
                    return journey.give_up();
                }
                let Some(lane) = table.lane(*node, is_read) else {
                    journey.reason = "the address of its owner is not known yet".to_owned();
                    continue;
                };
                let Journey { stamped, until, reason } = journey;
                let Some((stamped, carried)) = lane.carry(vec![stamped]).await.pop() else {
                    return Err(Failure::new(ErrorCode::Internal, "an operation got no answer"));
                };
                journey = Journey { stamped, until, reason };
                match self.judge(&table, *node, &mut journey, carried) {
                    Next::Ended(answer) => return answer,
                    Next::Elsewhere => {}
                    Next::Again => continue 'routed,
                    Next::Pause => break,
                }
            }
            if Instant::now() + PAUSE >= journey.until {
                return journey.give_up();
            }
            tokio::time::timeout(PAUSE, self.ways.rings.changed(&table.routing))
                .await
                .ok();
        }
    }

    fn judge(&self, table: &Table, node: NodeIndex, journey: &mut Journey, carried: Carried) -> Next {
        match carried {
            Carried::Said(Said::Done(outcome)) => Next::Ended(self.answer(table, node, journey, outcome)),
            Carried::Said(Said::Stale(_)) if journey.stamped.unsure => {
                let detail = "it met a newer version after an attempt whose outcome is unknown; read the key to find out";
                Next::Ended(Err(Failure::new(ErrorCode::Timeout, detail)))
            }
            Carried::Said(Said::Stale(held)) => match self.stamps.above(held) {
                Some(version) => {
                    journey.stamped.version = version;
                    journey.reason = "newer versions kept coming".to_owned();
                    Next::Again
                }
                None => Next::Ended(Err(Failure::new(ErrorCode::Internal, LAST_VERSION))),
            },
            Carried::Said(Said::Failed(failure)) if failure.code == ErrorCode::Conflict => {
                journey.reason = failure.detail;
                Next::Pause
            }
            Carried::Said(Said::Failed(failure)) if failure.code == ErrorCode::Timeout => journey.unsure(failure.detail),
            Carried::Said(Said::Failed(failure)) => Next::Ended(Err(failure)),
            Carried::Not(CallError::Failed(code, detail)) => Next::Ended(Err(Failure::new(code, detail))),
            Carried::Not(CallError::Refused(detail)) => {
                journey.reason = detail;
                Next::Pause
            }
            Carried::Not(CallError::NotExecuted(detail)) => {
                journey.reason = detail;
                Next::Elsewhere
            }
            Carried::Not(CallError::Unknown(detail)) => journey.unsure(detail),
        }
    }

    fn answer(&self, table: &Table, node: NodeIndex, journey: &Journey, outcome: Outcome) -> Result<Answer, Failure> {
        let outcome = match outcome {
            Outcome::Hit(found) => Outcome::Hit(found.unpack(self.options.max_value_bytes).ok_or_else(|| {
                Failure::new(
                    ErrorCode::Internal,
                    "the value is damaged: it cannot be unpacked; write it again",
                )
            })?),
            Outcome::PreconditionFailed { .. } if journey.stamped.unsure => return journey.outcome_unknown(),
            Outcome::Stored { version, .. } | Outcome::Counter { version, .. } => {
                self.stamps.observe(version);
                outcome
            }
            other => other,
        };
        Ok(Answer {
            node: table.name(node),
            outcome,
        })
    }
}

/// Why a write was not taken.
const STOOD_STILL: &str =
    "not executed: this master stood still for a while, and what waited for it may be outdated; send it again";
/// Why a write cannot be stamped.
const LAST_VERSION: &str =
    "the key has the highest version there is, and no write can come after it: empty its namespace, and restore a backup";
/// Why nobody was asked.
const NOBODY: &str = "no auxiliary has its key now: none is in the ring, or they are restoring it";

impl Journey {
    /// An attempt may have been executed.
    fn unsure(&mut self, detail: String) -> Next {
        let action = &self.stamped.operation.action;
        self.stamped.unsure |= action.is_write();
        self.reason = detail;
        if action.is_repeatable() {
            Next::Elsewhere
        } else {
            Next::Ended(self.outcome_unknown())
        }
    }

    /// The time is up.
    fn give_up(&self) -> Result<Answer, Failure> {
        if self.stamped.unsure {
            return self.outcome_unknown();
        }
        let reason = if self.reason.is_empty() {
            "its time was over before it could be sent"
        } else {
            &self.reason
        };
        Err(Failure::new(ErrorCode::Unavailable, format!("not executed: {reason}")))
    }

    fn outcome_unknown(&self) -> Result<Answer, Failure> {
        let detail = format!(
            "it may or may not have been executed ({}); read the key to find out",
            self.reason
        );
        Err(Failure::new(ErrorCode::Timeout, detail))
    }
}
