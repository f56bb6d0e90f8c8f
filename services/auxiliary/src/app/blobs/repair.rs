//! One pass over all blobs here: owners that lack one get it, and what need not be here goes.

use std::collections::BTreeMap;
use std::time::Duration;

use blobs::holder::Held;
use store::blob::{BlobInfo, BlobName, Error};

use super::{Blobs, Placement};

/// Blobs looked at together: a call to each node concerned.
const BATCH: usize = 200;

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Copies sent to owners that lacked them.
    pub(crate) copied: u64,
    /// Copies removed here.
    pub(crate) removed: u64,
    /// What could not be done, for now.
    pub(crate) failed: u64,
    /// Copies that need not be here, and wait until all owners have theirs.
    pub(crate) waiting: u64,
}

impl Pass {
    /// Whether another pass would find everything as it should be.
    pub(crate) const fn is_settled(&self) -> bool {
        self.copied == 0 && self.failed == 0 && self.waiting == 0
    }
}

/// What others have of the blobs of a batch, by address; nothing of one that did not answer.
type Answers = BTreeMap<String, BTreeMap<String, Held>>;

impl Blobs {
    /// Looks at every blob here. Others do the same with theirs, so that whatever anybody has comes to its owners.
    pub(crate) async fn pass(&self, placement: &Placement) -> Pass {
        let mut pass = Pass::default();
        let mut after: Option<String> = None;
        loop {
            let listed = self.store.list("", after.as_deref(), BATCH);
            let Some(last) = listed.last() else { return pass };
            after = Some(last.name.to_string());
            let mut batch = Vec::new();
            for listed in listed {
                match self.store.stat(&listed.name).await {
                    Ok(info) => batch.push(info),
                    Err(Error::NotFound(_)) => {}
                    Err(error) => {
                        self.noticed(&error);
                        pass.failed += 1;
                    }
                }
            }
            self.look_at(placement, &batch, &mut pass).await;
        }
    }

    async fn look_at(&self, placement: &Placement, batch: &[BlobInfo], pass: &mut Pass) {
        let answers = self.ask(placement, batch, false, pass).await;
        let mut surplus = Vec::new();
        for info in batch {
            let owners = placement.owners(info.name.as_str());
            let live = || owners.iter().filter_map(|(id, address)| Some((*id, (*address)?)));
            let first = live().next().is_some_and(|(id, _)| *id == self.me.id);
            let is_owner = owners.iter().any(|(id, _)| **id == self.me.id);
            let others = live().filter(|(id, _)| **id != self.me.id);
            let (mut holders, mut lacking) = (0, Vec::new());
            for (_, address) in others {
                match answers.get(address).map(|held| held.get(info.name.as_str())) {
                    Some(Some(held)) if is_same(held, info) => holders += 1,
                    Some(Some(_)) => {
                        pass.failed += 1;
                        tracing::error!(blob = %info.name, address, "it holds something else under this name; one of both is wrong");
                    }
                    Some(None) => lacking.push(address.to_owned()),
                    // It did not answer: another pass follows.
                    None => {}
                }
            }
            // The first sees to the others. When it has nothing itself another owner does, and when none has, whoever has it.
            let first_lacks = live()
                .next()
                .is_some_and(|(_, address)| lacking.iter().any(|lacks| lacks == address));
            if first || first_lacks && (is_owner || holders == 0) {
                for address in lacking {
                    self.send(info, &address, pass).await;
                }
            }
            if !is_owner && !owners.is_empty() {
                if holders == owners.len() {
                    surplus.push(info.clone());
                } else {
                    pass.waiting += 1;
                }
            }
        }
        self.drop_surplus(placement, &surplus, pass).await;
    }

    /// What the other owners have of a batch.
    async fn ask(&self, placement: &Placement, batch: &[BlobInfo], thorough: bool, pass: &mut Pass) -> Answers {
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for info in batch {
            for (id, address) in placement.owners(info.name.as_str()) {
                if let Some(address) = address.filter(|_| *id != self.me.id) {
                    wanted.entry(address).or_default().push(info.name.to_string());
                }
            }
        }
        let mut answers = Answers::new();
        for (address, names) in wanted {
            match self.holders.check(address, names, thorough).await {
                Ok(held) => {
                    let by_name = held.into_iter().map(|held| (held.name.clone(), held));
                    answers.insert(address.to_owned(), by_name.collect());
                }
                Err(error) => {
                    pass.failed += 1;
                    tracing::debug!(address, %error, "an owner cannot be asked what it has");
                }
            }
        }
        answers
    }

    async fn send(&self, info: &BlobInfo, address: &str, pass: &mut Pass) {
        // Somebody else may have been faster.
        let held = self.holders.stat(address, info.name.as_str()).await;
        if held.is_ok_and(|held| is_same(&held, info)) {
            return;
        }
        match self.copy(info, address).await {
            Ok(()) => {
                pass.copied += 1;
                self.metrics.repairs.with_label_values(&["copied"]).inc();
                tracing::debug!(blob = %info.name, address, "an owner that lacked a blob has it now");
                throttle(info.bytes, self.policy.repair_rate).await;
            }
            Err(error) => {
                pass.failed += 1;
                self.metrics.repairs.with_label_values(&["failed"]).inc();
                tracing::warn!(blob = %info.name, address, %error, "an owner lacks a blob and could not be given it; trying again later");
            }
        }
    }

    /// Removes what is not to be here, once every owner has read its own copy and found it good.
    async fn drop_surplus(&self, placement: &Placement, surplus: &[BlobInfo], pass: &mut Pass) {
        if surplus.is_empty() {
            return;
        }
        let answers = self.ask(placement, surplus, true, pass).await;
        for info in surplus {
            let owners = placement.owners(info.name.as_str());
            let verified = owners.iter().all(|(_, address)| {
                let held = address.and_then(|address| answers.get(address)?.get(info.name.as_str()));
                held.is_some_and(|held| is_same(held, info))
            });
            if verified && self.remove(&info.name).await {
                pass.removed += 1;
                self.metrics.repairs.with_label_values(&["removed"]).inc();
            } else {
                pass.waiting += 1;
            }
        }
    }

    async fn remove(&self, name: &BlobName) -> bool {
        match self.store.delete(name).await {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(blob = %name, %error, "a copy that need not be here could not be removed");
                false
            }
        }
    }
}

fn is_same(held: &Held, info: &BlobInfo) -> bool {
    (held.bytes, held.crc32c) == (info.bytes, info.crc32c)
}

/// Sleeps as long as so many bytes may take.
pub(super) async fn throttle(bytes: u64, rate: u64) {
    let seconds = bytes as f64 / rate.max(1) as f64;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
