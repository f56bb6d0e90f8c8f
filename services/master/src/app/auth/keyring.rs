//! The keys in memory. What stays true: a key that was revoked does not work any more once this master has heard of it, and a master
//! that has not been sure for too long to have heard of everything accepts no key at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use access::{Caller, KeyRecord, KeyState, Presented};
use arc_swap::ArcSwap;
use cluster::{Update, follow};
use control::{Consistency, ControlStore, Event, KeyValue, Revision};
use lifecycle::CancellationToken;
use parking_lot::Mutex;

use super::identities::Unknown;
use super::{now_ms, records};

/// Time between two looks whether everything was heard.
const LOOK: Duration = Duration::from_secs(1);
/// A look that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(3);
/// Uses of a key are told apart by no less.
const MIN_STEP_MS: u64 = 1_000;

type Keys = HashMap<String, Arc<Key>>;

/// All keys that this master knows of.
#[derive(Debug)]
pub struct Keyring {
    keys: ArcSwap<Keys>,
    /// Held by who changes them.
    changing: Mutex<()>,
    /// Whether they were listed at all.
    is_listed: AtomicBool,
    /// Revision up to which all changes were heard.
    heard: AtomicU64,
    begun: Instant,
    /// Milliseconds from `begun` to when it was last certain that nothing is missed.
    certain: AtomicU64,
    max_silence: Duration,
}

/// A key.
#[derive(Debug)]
pub struct Key {
    record: KeyRecord,
    /// Of the record.
    revision: Revision,
    caller: Arc<Caller>,
    /// When it was used last on this master, Unix milliseconds.
    used_ms: AtomicU64,
    /// The same on any, as the control store has it.
    stored_ms: AtomicU64,
    /// Cancelled when it is revoked: endless answers end with it.
    ended: CancellationToken,
}

impl Key {
    /// Its record.
    #[must_use]
    pub const fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// When it was used last, as far as this master knows.
    #[must_use]
    pub fn used_at_ms(&self) -> Option<u64> {
        let latest = self.used_here_ms().max(self.stored_ms.load(Ordering::Relaxed));
        (latest > 0).then_some(latest)
    }

    pub(super) fn used_here_ms(&self) -> u64 {
        self.used_ms.load(Ordering::Relaxed)
    }

    pub(super) fn stored_used_ms(&self) -> u64 {
        self.stored_ms.load(Ordering::Relaxed)
    }

    pub(super) fn used_is_stored(&self, at_ms: u64) {
        self.stored_ms.fetch_max(at_ms, Ordering::Relaxed);
    }

    fn use_at(&self, now_ms: u64) {
        if now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed)) >= MIN_STEP_MS {
            self.used_ms.store(now_ms, Ordering::Relaxed);
        }
    }
}

impl Keyring {
    /// Knows nothing yet. Keys are refused when it was not certain for `max_silence` that no change is missed.
    #[must_use]
    pub fn new(max_silence: Duration) -> Self {
        Self {
            keys: ArcSwap::default(),
            changing: Mutex::default(),
            is_listed: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            begun: Instant::now(),
            certain: AtomicU64::new(0),
            max_silence,
        }
    }

    /// Who has this key, when it is one and works.
    pub(super) fn identify(&self, sent: Presented<'_>) -> Result<Arc<Caller>, Unknown> {
        let keys = self.keys.load();
        let (key, hash, now_ms) = (keys.get(sent.id), sent.hash(), now_ms());
        let Some(key) = key.filter(|key| key.record.accepts(&hash, now_ms)) else {
            return Err(if self.is_listed.load(Ordering::Acquire) {
                Unknown::Wrong("this is no API key of this cluster, or not any more".into())
            } else {
                Unknown::NotNow("this master does not know the API keys yet; try again".into())
            });
        };
        match key.record.state(now_ms) {
            KeyState::Active => {}
            KeyState::Expired => return Err(Unknown::Wrong("this API key has expired".into())),
            KeyState::Revoked => return Err(Unknown::Wrong("this API key was revoked".into())),
        }
        if self.silence() > self.max_silence {
            let detail = "this master has not reached the control store for so long that keys may have been revoked meanwhile; try another";
            return Err(Unknown::NotNow(detail.into()));
        }
        key.use_at(now_ms);
        Ok(Arc::clone(&key.caller))
    }

    /// A key by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Key>> {
        self.keys.load().get(id).cloned()
    }

    /// All keys.
    pub(super) fn all(&self) -> Vec<Arc<Key>> {
        self.keys.load().values().cloned().collect()
    }

    /// Resolves when a key does not work any more because somebody revoked it.
    pub(super) fn ended(&self, id: &str) -> CancellationToken {
        match self.get(id) {
            Some(key) => key.ended.clone(),
            None => {
                let ended = CancellationToken::new();
                ended.cancel();
                ended
            }
        }
    }

    /// How long it has not been certain that nothing is missed.
    fn silence(&self) -> Duration {
        let certain = Duration::from_millis(self.certain.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(certain)
    }

    fn is_certain_as_of(&self, moment: Instant) {
        let elapsed = moment.saturating_duration_since(self.begun);
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.certain.fetch_max(elapsed, Ordering::Relaxed);
    }

    /// Follows the records until `stop`.
    pub async fn run(&self, store: &Arc<dyn ControlStore>, stop: CancellationToken) {
        let hearing = follow(store, records::PREFIX, &stop, |update| self.hear(update));
        let looking = async {
            loop {
                self.look(&**store).await;
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = stop.cancelled() => return,
                }
            }
        };
        tokio::join!(hearing, looking);
    }

    /// Reads the mark that every change leaves: when no more than what was heard is there, nothing is missed as of now.
    async fn look(&self, store: &dyn ControlStore) {
        let begun = Instant::now();
        let read = tokio::time::timeout(PATIENCE, store.get(records::CHANGED, Consistency::Linearizable)).await;
        let Ok(Ok(mark)) = read else { return };
        let changed = mark.map_or(0, |mark| mark.mod_revision);
        let is_listed = self.is_listed.load(Ordering::Acquire);
        if is_listed && changed <= self.heard.load(Ordering::Acquire) {
            self.is_certain_as_of(begun);
        } else if is_listed && self.silence() > 2 * LOOK {
            tracing::warn!(silence = ?self.silence(), "changes of API keys are late");
        }
    }

    pub(crate) fn hear(&self, update: Update) {
        match update {
            Update::Listed(items, revision) => {
                self.list(&items, revision);
                self.heard.fetch_max(revision, Ordering::AcqRel);
                if !self.is_listed.swap(true, Ordering::AcqRel) {
                    self.is_certain_as_of(Instant::now());
                }
            }
            Update::Changed(events) => {
                let revision = events.iter().map(Event::revision).max();
                self.change(events);
                self.heard.fetch_max(revision.unwrap_or(0), Ordering::AcqRel);
            }
        }
    }

    /// Takes all records as of a revision. What this master itself wrote after it stays.
    fn list(&self, items: &[KeyValue], revision: Revision) {
        let _changing = self.changing.lock();
        let before = self.keys.load_full();
        let later = before.iter().filter(|(_, key)| key.revision > revision);
        let mut keys: Keys = later.map(|(id, key)| (id.clone(), Arc::clone(key))).collect();
        for pair in items.iter().filter(|pair| pair.key.starts_with(records::KEYS)) {
            if let Some(record) = records::read(pair).filter(|record| !keys.contains_key(&record.id)) {
                let key = renewed(before.get(&record.id), record, pair.mod_revision);
                keys.insert(key.record.id.clone(), key);
            }
        }
        for gone in before.values().filter(|key| !keys.contains_key(&key.record.id)) {
            gone.ended.cancel();
        }
        for pair in items {
            let key = pair.key.strip_prefix(records::USED).and_then(|id| keys.get(id));
            if let Some(key) = key {
                key.used_is_stored(records::read_used(&pair.value));
            }
        }
        self.keys.store(Arc::new(keys));
    }

    fn change(&self, events: Vec<Event>) {
        for event in events {
            let id = |prefix| event.key().strip_prefix(prefix).map(str::to_owned);
            match (&event, id(records::KEYS), id(records::USED)) {
                (Event::Put(pair), Some(id), _) => match records::read(pair) {
                    Some(record) => self.put(record, pair.mod_revision),
                    None => self.forget(&id),
                },
                (Event::Delete { .. }, Some(id), _) => self.forget(&id),
                (Event::Put(pair), _, Some(id)) => {
                    if let Some(key) = self.get(&id) {
                        key.used_is_stored(records::read_used(&pair.value));
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes a record as of a revision, unless a later one is here.
    pub(crate) fn put(&self, record: KeyRecord, revision: Revision) {
        let _changing = self.changing.lock();
        let before = self.keys.load_full();
        let known = before.get(&record.id);
        if known.is_some_and(|known| known.revision >= revision) {
            return;
        }
        let key = renewed(known, record, revision);
        let mut keys = Keys::clone(&before);
        keys.insert(key.record.id.clone(), key);
        self.keys.store(Arc::new(keys));
    }

    fn forget(&self, id: &str) {
        let _changing = self.changing.lock();
        let mut keys = Keys::clone(&self.keys.load());
        if let Some(key) = keys.remove(id) {
            key.ended.cancel();
            self.keys.store(Arc::new(keys));
        }
    }
}

/// A key by its new record, with what is known of its use.
fn renewed(known: Option<&Arc<Key>>, record: KeyRecord, revision: Revision) -> Arc<Key> {
    let ended = known.map_or_else(CancellationToken::new, |known| known.ended.clone());
    if record.revoked_at_ms.is_some() {
        ended.cancel();
    }
    let figure = |of: fn(&Key) -> &AtomicU64| AtomicU64::new(known.map_or(0, |known| of(known).load(Ordering::Relaxed)));
    Arc::new(Key {
        caller: Arc::new(record.caller()),
        used_ms: figure(|key| &key.used_ms),
        stored_ms: figure(|key| &key.stored_ms),
        record,
        revision,
        ended,
    })
}

#[cfg(test)]
mod tests {
    use access::Grant;

    use super::*;

    fn record(text: &mut String) -> KeyRecord {
        let (record, key) = KeyRecord::create("ci".to_owned(), vec![Grant::admin()], String::new(), 1, None);
        *text = key;
        record
    }

    fn listed(record: &KeyRecord, revision: Revision) -> Update {
        let pair = KeyValue {
            key: records::record_key(&record.id),
            value: serde_json::to_vec(record).unwrap().into(),
            create_revision: 1,
            mod_revision: revision,
            version: 1,
            lease: None,
        };
        Update::Listed(vec![pair], revision)
    }

    fn identify(keyring: &Keyring, text: &str) -> Result<Arc<Caller>, Unknown> {
        keyring.identify(Presented::parse(text).unwrap())
    }

    #[test]
    fn keys_work_from_the_moment_they_are_heard_of_until_they_are_revoked() {
        let (keyring, mut text) = (Keyring::new(Duration::from_secs(60)), String::new());
        let mut record = record(&mut text);
        assert!(
            matches!(identify(&keyring, &text), Err(Unknown::NotNow(_))),
            "nothing is known yet"
        );
        keyring.hear(listed(&record, 5));
        assert_eq!(&*identify(&keyring, &text).unwrap().id, record.id);
        let ended = keyring.ended(&record.id);
        record.revoked_at_ms = Some(2);
        keyring.put(record.clone(), 4);
        assert!(
            identify(&keyring, &text).is_ok(),
            "what is older than what is known is no news"
        );
        keyring.put(record.clone(), 6);
        assert!(matches!(identify(&keyring, &text), Err(Unknown::Wrong(_))));
        assert!(ended.is_cancelled());
        keyring.hear(Update::Listed(Vec::new(), 5));
        assert!(keyring.get(&record.id).is_some(), "this listing is older than what is known");
        keyring.hear(Update::Listed(Vec::new(), 9));
        assert!(keyring.get(&record.id).is_none() && keyring.ended(&record.id).is_cancelled());
    }

    #[test]
    fn use_is_remembered_over_changes_of_the_record() {
        let (keyring, mut text) = (Keyring::new(Duration::from_secs(60)), String::new());
        let record = record(&mut text);
        keyring.hear(listed(&record, 5));
        assert_eq!(keyring.get(&record.id).unwrap().used_at_ms(), None);
        identify(&keyring, &text).unwrap();
        let used = keyring.get(&record.id).unwrap().used_at_ms();
        assert!(used.is_some());
        keyring.put(record.clone(), 6);
        assert_eq!(keyring.get(&record.id).unwrap().used_at_ms(), used);
    }

    #[test]
    fn silence_of_the_control_store_ends_trust_after_a_while() {
        let (keyring, mut text) = (Keyring::new(Duration::ZERO), String::new());
        let record = record(&mut text);
        keyring.hear(listed(&record, 5));
        std::thread::sleep(Duration::from_millis(3));
        assert!(matches!(identify(&keyring, &text), Err(Unknown::NotNow(_))));
        let wrong = text.replace(&text[25..30], "zzzzz");
        assert!(matches!(identify(&keyring, &wrong), Err(Unknown::Wrong(_))), "wrong is wrong");
    }
}
