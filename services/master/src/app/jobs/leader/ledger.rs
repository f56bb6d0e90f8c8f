//! The leader's writes. Each compares the leader's lease, so that a deposed leader writes nothing, and the revision of the
//! record it replaces, so that a write whose outcome was unknown cannot come late and undo a later one.

use std::sync::Arc;

use api::JobId;
use bytes::Bytes;
use cluster::{Token, keys::LEADER};
use control::{Compare, ControlStore, KeyValue, Op, OpResult, Revision, Txn, TxnResponse};
use jobs::JobRecord;

use super::clock;
use crate::app::jobs::datasets::Commit;
use crate::app::jobs::orders::Submission;
use crate::app::jobs::records::read;
use crate::app::jobs::saved::Piece;
use crate::app::jobs::{Error, keys};

/// Most bytes of values in one transaction; etcd takes 1.5 MB a request.
const BATCH_BYTES: usize = 768 * 1024;
/// Most steps in one transaction; etcd takes 128.
const BATCH_STEPS: usize = 64;

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// A new job.
    New(JobRecord),
    /// The job that this submission made before.
    Known(JobRecord),
}

/// What became of a write of a record.
#[derive(Debug)]
pub(super) enum Written {
    /// Durable, at this revision.
    At(Revision),
    /// An earlier write, thought to have failed, had been done: write again over this revision.
    Behind(Revision),
    /// The record is final already: an earlier write of the end, thought to have failed, had been done.
    Final,
    /// A condition beside the record does not hold: the dataset it writes was changed meanwhile.
    Contended,
    /// Another leader rules, or the record is gone.
    Deposed,
}

/// Writes of one term.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) store: Arc<dyn ControlStore>,
    token: Token,
}

impl Ledger {
    pub(super) fn new(store: Arc<dyn ControlStore>, token: Token) -> Self {
        Self { store, token }
    }

    /// Makes a submission durable, once.
    pub(super) async fn accept(&self, submission: Submission) -> Result<(Accepted, Revision), Error> {
        let Submission {
            id,
            namespace,
            spec,
            idempotency_key,
            trace,
        } = submission;
        let record = JobRecord {
            namespace: namespace.clone(),
            idempotency_key: idempotency_key.clone(),
            trace,
            ..JobRecord::new(id, spec, clock::wall())
        };
        let (record_key, name) = (
            keys::record(id),
            idempotency_key.as_deref().map(|key| keys::idempotency(&namespace, key)),
        );
        let mut compares = vec![self.token.fence(), Compare::Absent(record_key.clone())];
        compares.extend(name.clone().map(Compare::Absent));
        let mut then = vec![put(record_key.clone(), encode(&record)?)];
        then.extend(name.clone().map(|name| put(name, id.to_string().into())));
        let mut otherwise = vec![get(LEADER), get(&record_key)];
        otherwise.extend(name.as_deref().map(get));
        let answer = self
            .store
            .txn(Txn {
                compares,
                then,
                otherwise,
            })
            .await?;
        if answer.succeeded {
            return Ok((Accepted::New(record), answer.revision));
        }
        if !self.still_rules(&answer) {
            return Err(Error::NotLeader);
        }
        if let Some(entry) = entry(&answer, 1) {
            return Ok((Accepted::Known(read(entry)?), entry.mod_revision));
        }
        self.known(&record, entry(&answer, 2)).await
    }

    /// The job an idempotency key stands for, if it is the same job.
    async fn known(&self, wanted: &JobRecord, name: Option<&KeyValue>) -> Result<(Accepted, Revision), Error> {
        let gone = || Error::Unavailable("the job of this Idempotency-Key has just been removed; try again".to_owned());
        let id = name
            .and_then(|entry| std::str::from_utf8(&entry.value).ok()?.parse::<JobId>().ok())
            .ok_or_else(gone)?;
        let entry = self
            .store
            .get(&keys::record(id), control::Consistency::Linearizable)
            .await?
            .ok_or_else(gone)?;
        let record = read(&entry)?;
        if record.spec == wanted.spec {
            return Ok((Accepted::Known(record), entry.mod_revision));
        }
        Err(Error::Conflict(format!(
            "this Idempotency-Key stands for another job, {id}; use a new key for a new job"
        )))
    }

    /// The job that an idempotency key stands for, if any: what a refused submission may still be answered with.
    pub(super) async fn find(&self, namespace: &str, key: &str) -> Result<Option<JobRecord>, Error> {
        let name = self
            .store
            .get(&keys::idempotency(namespace, key), control::Consistency::Linearizable)
            .await?;
        let Some(id) = name.and_then(|entry| std::str::from_utf8(&entry.value).ok()?.parse::<JobId>().ok()) else {
            return Ok(None);
        };
        let entry = self.store.get(&keys::record(id), control::Consistency::Linearizable).await?;
        entry.map(|entry| read(&entry)).transpose()
    }

    /// Replaces a record. What belongs to it becomes durable before it or with it: pieces of its plan and of its tasks.
    pub(super) async fn write(&self, record: &JobRecord, replaces: Revision, pieces: Vec<Piece>) -> Result<Written, Error> {
        self.end(record, replaces, pieces, Commit::default()).await
    }

    /// The same, with further conditions and steps in the same transaction as the record.
    pub(super) async fn end(
        &self,
        record: &JobRecord,
        replaces: Revision,
        pieces: Vec<Piece>,
        with: Commit,
    ) -> Result<Written, Error> {
        let key = keys::record(record.id);
        let own = vec![self.token.fence(), Compare::ModRevision(key.clone(), replaces)];
        let mut batches = batches(pieces);
        let mut last: Vec<Op> = batches.pop().unwrap_or_default();
        for then in batches {
            let answer = self.txn(own.clone(), then, &key).await?;
            if !answer.succeeded {
                return self.why_not(&answer, replaces);
            }
        }
        last.push(put(key.clone(), encode(record)?));
        last.extend(with.then);
        let compares = own.into_iter().chain(with.compares).collect();
        let answer = self.txn(compares, last, &key).await?;
        if answer.succeeded {
            return Ok(Written::At(answer.revision));
        }
        self.why_not(&answer, replaces)
    }

    async fn txn(&self, compares: Vec<Compare>, then: Vec<Op>, record: &str) -> Result<TxnResponse, Error> {
        let txn = Txn {
            compares,
            then,
            otherwise: vec![get(LEADER), get(record)],
        };
        Ok(self.store.txn(txn).await?)
    }

    fn why_not(&self, answer: &TxnResponse, replaces: Revision) -> Result<Written, Error> {
        match entry(answer, 1) {
            Some(entry) if self.still_rules(answer) => {
                let held = read(entry)?;
                Ok(match held.state.is_final() {
                    true => Written::Final,
                    false if entry.mod_revision == replaces => Written::Contended,
                    false => Written::Behind(entry.mod_revision),
                })
            }
            _ => Ok(Written::Deposed),
        }
    }

    /// Removes an ended job with all that belongs to it, its blobs excepted.
    pub(super) async fn remove(&self, record: &JobRecord) -> Result<bool, Error> {
        let mut then = vec![
            Op::Delete {
                key: keys::record(record.id),
            },
            Op::DeletePrefix {
                prefix: keys::results(record.id),
            },
            Op::DeletePrefix {
                prefix: keys::plans(record.id),
            },
            Op::DeletePrefix {
                prefix: keys::all_tasks(record.id),
            },
        ];
        then.extend(record.idempotency_key.as_deref().map(|key| Op::Delete {
            key: keys::idempotency(&record.namespace, key),
        }));
        let txn = Txn {
            compares: vec![self.token.fence()],
            then,
            otherwise: Vec::new(),
        };
        Ok(self.store.txn(txn).await?.succeeded)
    }

    /// Whether the leader's key, first among the answers, is still this term's.
    fn still_rules(&self, answer: &TxnResponse) -> bool {
        entry(answer, 0).is_some_and(|leader| leader.create_revision == self.token.revision)
    }
}

/// Cuts writes into transactions; the last one has room for the record and what ends with it.
fn batches(pieces: Vec<Piece>) -> Vec<Vec<Op>> {
    let (mut all, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (key, value) in pieces {
        if !batch.is_empty() && (batch.len() == BATCH_STEPS || bytes + value.len() > BATCH_BYTES) {
            all.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += value.len();
        batch.push(put(key, value));
    }
    if bytes > BATCH_BYTES / 2 {
        all.push(std::mem::take(&mut batch));
    }
    all.push(batch);
    all
}

fn entry(answer: &TxnResponse, step: usize) -> Option<&KeyValue> {
    match answer.results.get(step) {
        Some(OpResult::Range(range)) => range.items.first(),
        _ => None,
    }
}

fn encode(record: &JobRecord) -> Result<Bytes, Error> {
    let encoded = serde_json::to_vec(record).map_err(|source| Error::Record {
        key: keys::record(record.id),
        source,
    })?;
    Ok(encoded.into())
}

fn put(key: String, value: Bytes) -> Op {
    Op::Put { key, value, lease: None }
}

fn get(key: &str) -> Op {
    Op::Get { key: key.to_owned() }
}

#[cfg(test)]
mod tests {
    use control::Consistency;
    use control::raft::{RaftOptions, RaftStore};

    use super::*;

    async fn store(dir: &tempfile::TempDir) -> Arc<dyn ControlStore> {
        RaftStore::open(RaftOptions::new(dir.path(), "m1")).await.unwrap()
    }

    async fn next_term(store: &Arc<dyn ControlStore>) -> Ledger {
        let vacate = Op::Delete { key: LEADER.to_owned() };
        let take = put(LEADER.to_owned(), Bytes::from_static(b"{}"));
        store
            .txn(Txn {
                then: vec![vacate],
                ..Txn::default()
            })
            .await
            .unwrap();
        let revision = store
            .txn(Txn {
                then: vec![take],
                ..Txn::default()
            })
            .await
            .unwrap()
            .revision;
        let cluster = "test".to_owned();
        Ledger::new(Arc::clone(store), Token { cluster, revision })
    }

    fn submission() -> Submission {
        let spec = serde_json::from_value(serde_json::json!({ "query": "select 1" })).unwrap();
        Submission {
            id: JobId::new_now(),
            namespace: String::new(),
            spec,
            idempotency_key: None,
            trace: None,
        }
    }

    fn record(accepted: &Accepted) -> &JobRecord {
        let (Accepted::New(record) | Accepted::Known(record)) = accepted;
        record
    }

    #[tokio::test]
    async fn a_deposed_leader_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let old = next_term(&store).await;
        let (accepted, revision) = old.accept(submission()).await.unwrap();
        let mut record = record(&accepted).clone();
        next_term(&store).await;

        record.state = api::job::JobState::Succeeded;
        let part = (keys::part(record.id, 0), Bytes::from_static(b"rows"));
        assert!(matches!(old.write(&record, revision, vec![part]).await, Ok(Written::Deposed)));
        assert!(matches!(old.accept(submission()).await, Err(Error::NotLeader)));
        assert_eq!(old.remove(&record).await.ok(), Some(false));
        let held = store
            .range(control::Range::prefix("jobs/"), Consistency::Linearizable)
            .await
            .unwrap()
            .items;
        assert_eq!(held.iter().map(|entry| entry.mod_revision).collect::<Vec<_>>(), [revision]);
    }

    #[tokio::test]
    async fn a_write_that_was_thought_to_have_failed_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = next_term(&store(&dir).await).await;
        let (accepted, accepted_at) = ledger.accept(submission()).await.unwrap();
        let mut record = record(&accepted).clone();
        let Ok(Written::At(first)) = ledger.write(&record, accepted_at, Vec::new()).await else {
            panic!("it is written")
        };
        assert!(matches!(ledger.write(&record, accepted_at, Vec::new()).await, Ok(Written::Behind(at)) if at == first));
        record.state = api::job::JobState::Failed;
        assert!(matches!(ledger.write(&record, first, Vec::new()).await, Ok(Written::At(_))));
        assert!(matches!(ledger.write(&record, first, Vec::new()).await, Ok(Written::Final)));
    }

    #[tokio::test]
    async fn what_is_large_is_written_in_several_transactions_and_read_back_whole() {
        use crate::app::jobs::saved;
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let ledger = next_term(&store).await;
        let (accepted, at) = ledger.accept(submission()).await.unwrap();
        let record = record(&accepted);
        let stage = |n: u8| api::task::Stage {
            plan: vec![n; 900_000].into(),
            partitions: 1_000,
            output_partitions: 1,
            inputs: if n == 0 { Vec::new() } else { vec![u32::from(n) - 1] },
            deterministic: true,
            display: format!("stage {n}"),
            blobs: Vec::new(),
        };
        let graph = api::task::StageGraph {
            stages: (0..3).map(stage).collect(),
            columns: Vec::new(),
            output: None,
        };
        let pieces = saved::plan_pieces(record.id, 0, &graph).unwrap();
        assert!(super::batches(pieces.clone()).iter().all(|batch| batch.len() <= 64));
        let missing = pieces[..pieces.len() - 1].to_vec();
        let Ok(Written::At(at)) = ledger.write(record, at, missing).await else {
            panic!("written")
        };
        assert_eq!(saved::load_plan(&*store, record.id, 0).await.unwrap(), None, "not whole");
        assert!(matches!(ledger.write(record, at, pieces).await, Ok(Written::At(_))));
        assert_eq!(saved::load_plan(&*store, record.id, 0).await.unwrap(), Some(graph));
    }

    #[tokio::test]
    async fn an_order_sent_twice_is_one_job() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = next_term(&store(&dir).await).await;
        let order = submission();
        let (first, at) = ledger.accept(order.clone()).await.unwrap();
        let (second, again_at) = ledger.accept(order).await.unwrap();
        assert!(matches!((&first, &second), (Accepted::New(a), Accepted::Known(b)) if a == b));
        assert_eq!(at, again_at);
    }
}
