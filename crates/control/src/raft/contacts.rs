//! What is known of the way to the other masters: where they are, and when they answered last.
//!
//! Addresses come from the settings and from calls that come in, and win over the membership in the log: a member that has
//! moved must be reached before a leader can write its new address down.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Silence that is worth a word in the log: several heartbeats.
const SILENCE: Duration = Duration::from_secs(1);

/// The other masters.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    contacts: Mutex<BTreeMap<u64, Contact>>,
}

#[derive(Debug, Clone, Default)]
struct Contact {
    address: Option<String>,
    answered: Option<Instant>,
    failed: Option<Instant>,
    full: bool,
    disowned: bool,
    refusal: Option<String>,
    /// It was said that it does not answer.
    missed: bool,
}

impl Contacts {
    /// Takes note of an address, from the settings or from a call.
    pub(crate) fn learn(&self, id: u64, address: &str) {
        if address.is_empty() {
            return;
        }
        let mut contacts = self.contacts.lock();
        let contact = contacts.entry(id).or_default();
        if contact.address.as_deref() != Some(address) {
            contact.address = Some(address.to_owned());
        }
    }

    /// Where a master was last heard of.
    pub(crate) fn address(&self, id: u64) -> Option<String> {
        self.contacts.lock().get(&id).and_then(|contact| contact.address.clone())
    }

    /// It answered. True when it was missed.
    pub(crate) fn answered(&self, id: u64, full: bool, disowned: bool) -> bool {
        let mut contacts = self.contacts.lock();
        let contact = contacts.entry(id).or_default();
        contact.answered = Some(Instant::now());
        contact.full = full;
        contact.disowned = disowned;
        contact.refusal = None;
        std::mem::take(&mut contact.missed)
    }

    /// It refuses to have to do with this node. True when that is news.
    pub(crate) fn refused(&self, id: u64, reason: &str) -> bool {
        let mut contacts = self.contacts.lock();
        let contact = contacts.entry(id).or_default();
        contact.failed = Some(Instant::now());
        let news = contact.refusal.as_deref() != Some(reason);
        contact.refusal = Some(reason.to_owned());
        news
    }

    /// It did not. True when it has been silent for so long that somebody should know, and nobody was told.
    pub(crate) fn failed(&self, id: u64) -> bool {
        let mut contacts = self.contacts.lock();
        let contact = contacts.entry(id).or_default();
        contact.failed = Some(Instant::now());
        let is_long = contact.answered.is_none_or(|answered| answered.elapsed() > SILENCE);
        is_long && !std::mem::replace(&mut contact.missed, true)
    }

    /// Whether it did not answer when it was called last.
    pub(crate) fn is_silent(&self, id: u64) -> bool {
        let contacts = self.contacts.lock();
        contacts.get(&id).is_some_and(|contact| contact.failed > contact.answered)
    }

    /// Whether its disk was full when it answered last.
    pub(crate) fn is_full(&self, id: u64) -> bool {
        self.contacts.lock().get(&id).is_some_and(|contact| contact.full)
    }

    /// Whether it said of late that this node is no member.
    pub(crate) fn disowns(&self, id: u64) -> bool {
        self.contacts.lock().get(&id).is_some_and(|contact| contact.disowned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_once_and_its_end_too() {
        let contacts = Contacts::default();
        assert!(!contacts.answered(1, false, false));
        assert!(!contacts.failed(1), "one lost message is no news");
        tokio::time::advance(2 * SILENCE).await;
        assert!(contacts.failed(1));
        assert!(!contacts.failed(1));
        assert!(contacts.is_silent(1));
        assert!(contacts.answered(1, false, false));
        assert!(!contacts.answered(1, false, false));
        assert!(contacts.failed(2), "it was never heard of");
    }
}
