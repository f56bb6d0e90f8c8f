//! Making keys, looking at them, and taking them back.

use std::sync::Arc;
use std::time::Duration;

use access::{Caller, Grant, KeyRecord, KeyState};
use api::ErrorCode;
use control::{Compare, Consistency, ControlStore, Op, Range, Revision, Txn};

use super::{Keyring, now_ms, records};

/// Most keys of a cluster, those that ended lately among them.
const MAX_KEYS: usize = 10_000;
/// Most grants of a key.
const MAX_GRANTS: usize = 64;
/// Longest name, bytes.
const MAX_NAME: usize = 200;
/// For how long keys that ended are still shown.
const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Records that are cleared away with one new key.
const CLEARED_AT_ONCE: usize = 50;
/// Longest time for which a secret works beside the one that took its place.
const MAX_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Changes that others were faster with, before it is given up.
const TRIES: usize = 8;

/// A key that somebody wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// For people.
    pub name: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// How long it works; for ever without.
    pub ttl: Option<Duration>,
}

/// Some keys.
#[derive(Debug, Clone)]
pub struct Page {
    /// In order of their ids.
    pub items: Vec<KeyRecord>,
    /// Whether there are more.
    pub more: bool,
}

/// Why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No such key.
    #[error("there is no API key {0}: GET /auth/keys lists those that are there")]
    NotFound(String),
    /// Things as they are do not allow it.
    #[error("{0}")]
    Conflict(String),
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(String),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] control::Error),
}

impl Error {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::TooMany(_) => ErrorCode::RateLimited,
            Self::Store(error) => error.code(),
        }
    }
}

/// The keys of the cluster, as administrators see them.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    store: Arc<dyn ControlStore>,
    keyring: Arc<Keyring>,
}

impl ApiKeys {
    /// In this store; what is changed is known to this ring at once, and to those of other masters a moment later.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, keyring: Arc<Keyring>) -> Self {
        Self { store, keyring }
    }

    /// Makes a key: its record, and its text, which nobody will see again.
    ///
    /// # Errors
    /// When it is not a sensible key, there are too many, or the store does not answer.
    pub async fn create(&self, wanted: Wanted, by: &Caller) -> Result<(KeyRecord, String), Error> {
        self.make(wanted, by.to_string(), Vec::new(), Vec::new()).await
    }

    /// Makes the first key of a cluster, which may do everything.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was made before.
    pub async fn begin(&self, name: String) -> Result<(KeyRecord, String), Error> {
        let wanted = Wanted {
            name,
            grants: vec![Grant::admin()],
            ttl: None,
        };
        let begun = records::BEGUN.to_owned();
        let mark = Op::Put {
            key: begun.clone(),
            value: now_ms().to_string().into_bytes().into(),
            lease: None,
        };
        let by = "the cluster token".to_owned();
        self.make(wanted, by, vec![Compare::Absent(begun)], vec![mark]).await
    }

    async fn make(
        &self,
        wanted: Wanted,
        by: String,
        mut compares: Vec<Compare>,
        mut then: Vec<Op>,
    ) -> Result<(KeyRecord, String), Error> {
        check(&wanted)?;
        let now_ms = now_ms();
        let cleared = self.cleared(now_ms);
        // Each takes two steps.
        if self.keyring.all().len() >= MAX_KEYS + cleared.len() / 2 {
            return Err(Error::TooMany(format!(
                "there are {MAX_KEYS} API keys; revoke some: they make room 30 days after their end"
            )));
        }
        let expires_at_ms = wanted.ttl.map(|ttl| now_ms.saturating_add(milliseconds(ttl)));
        let (record, text) = KeyRecord::create(wanted.name, wanted.grants, by, now_ms, expires_at_ms);
        compares.push(Compare::Absent(records::record_key(&record.id)));
        then.extend(records::steps(&record));
        then.extend(cleared);
        let txn = Txn {
            compares,
            then,
            otherwise: Vec::new(),
        };
        let answer = self.store.txn(txn).await?;
        if !answer.succeeded {
            let detail =
                "the first key of this cluster was made before: make others with it, or with ELASTICORE_ROOT_KEY if it is lost";
            return Err(Error::Conflict(detail.to_owned()));
        }
        self.keyring.put(record.clone(), answer.revision);
        Ok((record, text))
    }

    /// Steps that clear away keys which ended long ago.
    fn cleared(&self, now_ms: u64) -> Vec<Op> {
        let long_ago = now_ms.saturating_sub(KEPT_MS);
        let keys = self.keyring.all();
        let gone = keys.iter().map(|key| key.record());
        gone.filter(|record| record.ended_at_ms(now_ms).is_some_and(|at| at < long_ago))
            .take(CLEARED_AT_ONCE)
            .flat_map(|record| [records::record_key(&record.id), records::used_key(&record.id)].map(|key| Op::Delete { key }))
            .collect()
    }

    /// A key.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn get(&self, id: &str) -> Result<KeyRecord, Error> {
        Ok(self.held(id).await?.0)
    }

    /// Keys after one, in order of their ids.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self, limit: usize, after: Option<&str>) -> Result<Page, Error> {
        let range = Range {
            prefix: records::KEYS.to_owned(),
            limit,
            after: after.map(records::record_key),
        };
        let listing = self.store.range(range, Consistency::Linearizable).await?;
        Ok(Page {
            items: listing.items.iter().filter_map(records::read).collect(),
            more: listing.more,
        })
    }

    /// Takes a key back: it works on no master any more, a moment after this returns. Twice is once.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn revoke(&self, id: &str) -> Result<KeyRecord, Error> {
        let change = |record: &mut KeyRecord| {
            record.revoked_at_ms.get_or_insert_with(now_ms);
            record.previous = None;
            Ok(())
        };
        Ok(self.change(id, change).await?.0)
    }

    /// Gives a key another secret; the one it had works for `grace`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when the key has ended, or when the store does not answer.
    pub async fn rotate(&self, id: &str, grace: Duration) -> Result<(KeyRecord, String), Error> {
        if grace > MAX_GRACE {
            return Err(Error::Invalid("the grace of the old secret is at most 30 days".to_owned()));
        }
        let change = |record: &mut KeyRecord| {
            let now_ms = now_ms();
            match record.state(now_ms) {
                KeyState::Active => Ok(record.rotate(now_ms, now_ms.saturating_add(milliseconds(grace)))),
                _ => Err(Error::Conflict(format!(
                    "the API key {} has ended: make a new one",
                    record.id
                ))),
            }
        };
        self.change(id, change).await
    }

    async fn change<T>(&self, id: &str, change: impl Fn(&mut KeyRecord) -> Result<T, Error>) -> Result<(KeyRecord, T), Error> {
        for _ in 0..TRIES {
            let (mut record, revision) = self.held(id).await?;
            let changed = change(&mut record)?;
            let txn = Txn {
                compares: vec![Compare::ModRevision(records::record_key(id), revision)],
                then: records::steps(&record),
                otherwise: Vec::new(),
            };
            let answer = self.store.txn(txn).await?;
            if answer.succeeded {
                self.keyring.put(record.clone(), answer.revision);
                return Ok((record, changed));
            }
        }
        Err(Error::Conflict(format!(
            "others change the API key {id} all the time; try again"
        )))
    }

    async fn held(&self, id: &str) -> Result<(KeyRecord, Revision), Error> {
        let absent = || Error::NotFound(id.chars().take(64).collect());
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(absent());
        }
        let held = self.store.get(&records::record_key(id), Consistency::Linearizable).await?;
        let held = held.ok_or_else(absent)?;
        let record = records::read(&held).ok_or_else(absent)?;
        Ok((record, held.mod_revision))
    }
}

fn check(wanted: &Wanted) -> Result<(), Error> {
    let refuse = |wrong: bool, detail: String| if wrong { Err(Error::Invalid(detail)) } else { Ok(()) };
    let named = (1..=MAX_NAME).contains(&wanted.name.len()) && !wanted.name.chars().any(char::is_control);
    refuse(
        !named,
        format!("name must be 1 to {MAX_NAME} bytes without control characters"),
    )?;
    let grants = wanted.grants.len();
    refuse(
        !(1..=MAX_GRANTS).contains(&grants),
        format!("there are {grants} grants; give 1 to {MAX_GRANTS}, as in writer:team-*:cache,kv"),
    )
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use cluster::Update;
    use control::raft::{RaftOptions, RaftStore};

    use super::*;

    fn wanted(name: &str) -> Wanted {
        Wanted {
            name: name.to_owned(),
            grants: vec![Grant::admin()],
            ttl: None,
        }
    }

    #[tokio::test]
    async fn keys_that_ended_long_ago_make_room_with_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ControlStore> = RaftStore::open(RaftOptions::new(directory.path(), "m1")).await.unwrap();
        let keyring = Arc::new(Keyring::new(Duration::from_secs(60)));
        let keys = ApiKeys::new(Arc::clone(&store), Arc::clone(&keyring));
        let (mut old, _) = KeyRecord::create("old".to_owned(), vec![Grant::admin()], String::new(), 1, Some(2));
        let (mut late, _) = keys.create(wanted("late"), &Caller::root()).await.unwrap();
        late = keys.revoke(&late.id).await.unwrap();
        old.revoked_at_ms = Some(1);
        let put = Txn {
            then: records::steps(&old),
            ..Txn::default()
        };
        store.txn(put).await.unwrap();
        let listing = store
            .range(Range::prefix(records::PREFIX), Consistency::Linearizable)
            .await
            .unwrap();
        keyring.hear(Update::Listed(listing.items, listing.revision));
        assert_eq!(keys.list(10, None).await.unwrap().items.len(), 2);
        let (new, _) = keys.create(wanted("new"), &Caller::root()).await.unwrap();
        let left: Vec<String> = keys
            .list(10, None)
            .await
            .unwrap()
            .items
            .into_iter()
            .map(|key| key.name)
            .collect();
        assert!(left.len() == 2 && !left.contains(&"old".to_owned()), "{left:?}");
        assert!(matches!(keys.get(&old.id).await, Err(Error::NotFound(_))));
        let page = keys.list(1, None).await.unwrap();
        assert!(page.more && page.items.len() == 1);
        let rest = keys.list(1, Some(&page.items[0].id)).await.unwrap();
        assert!(!rest.more && rest.items[0].id != page.items[0].id);
        for wrong in ["", "../kv", "a/b", &"x".repeat(100)] {
            assert!(matches!(keys.get(wrong).await, Err(Error::NotFound(_))), "{wrong}");
        }
        assert_eq!(new.created_by, "root");
        assert!(late.revoked_at_ms.is_some());
    }

    #[tokio::test]
    async fn of_two_who_begin_a_cluster_one_is_late() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ControlStore> = RaftStore::open(RaftOptions::new(directory.path(), "m1")).await.unwrap();
        let keys = ApiKeys::new(store, Arc::new(Keyring::new(Duration::from_secs(60))));
        let (one, other) = tokio::join!(keys.begin("a".to_owned()), keys.begin("b".to_owned()));
        assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1);
        assert!(matches!(one.and(other), Err(Error::Conflict(_))));
    }
}
