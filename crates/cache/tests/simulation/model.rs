//! What clients know: every write with its version, and from that, what reads may say.
//!
//! Versions order the writes of a key, and an acknowledged write has a known one. `floor` is the newest version that was
//! certainly acknowledged: a read that begins then must find that version or a newer one; nothing at all only if a delete or
//! the end of a life time can explain it.

use std::collections::BTreeMap;

use super::history::{Change, Fate, History, SKEW, Token, Write, stamp};

/// What may still be there after everything was restarted: floors and counts at a moment.
#[derive(Debug, Default, Clone)]
pub(crate) struct Saved(BTreeMap<String, (u64, u64)>);

/// All keys.
#[derive(Debug, Default)]
pub(crate) struct Model {
    keys: BTreeMap<String, History>,
    era: u32,
    /// Whether more was broken at once than the promise covers: then only what nobody ever wrote is wrong.
    pub(crate) lenient: bool,
    pub(crate) reads: u64,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    /// Reads that were behind, and may be.
    pub(crate) excused: u64,
}

pub(crate) type Verdict = Result<(), String>;

impl Model {
    pub(crate) fn begin_write(&mut self, key: &str, change: Change, now_us: u64) -> Token {
        let era = self.era;
        let history = self.keys.entry(key.to_owned()).or_default();
        if change == Change::Incr {
            history.at_most += 1;
        }
        history.writes.push(Write {
            change,
            fate: Fate::Open,
            era,
            version: None,
            latest: None,
            seen: false,
        });
        Token {
            write: Some(history.writes.len() - 1),
            ..Self::token(key, history, era, now_us)
        }
    }

    pub(crate) fn begin_read(&mut self, key: &str, now_us: u64) -> Token {
        Self::token(key, self.keys.entry(key.to_owned()).or_default(), self.era, now_us)
    }

    fn token(key: &str, history: &History, era: u32, began_us: u64) -> Token {
        Token {
            key: key.to_owned(),
            write: None,
            floor: history.floor,
            counted: history.counted,
            era,
            began_us,
            turn: history.turn,
        }
    }

    /// Whether what was certain when it began still is.
    fn binds(&self, token: &Token) -> bool {
        let turn = self.keys.get(&token.key).map_or(0, |history| history.turn);
        !self.lenient && token.era == self.era && token.turn == turn
    }

    /// The newest version of a key that somebody was told of.
    pub(crate) fn newest(&self, key: &str) -> u64 {
        self.keys.get(key).map_or(0, |history| history.floor)
    }

    /// An auxiliary carried out a delete that a master had sent.
    pub(crate) fn deleted(&mut self, key: &str, master: u8, version: u64, now_us: u64) {
        let history = self.keys.entry(key.to_owned()).or_default();
        history.deletes.push((master, version, now_us));
    }

    /// A delete was acknowledged. Its version is that of one of those its master has sent since it began.
    pub(crate) fn acknowledge_delete(&mut self, token: &Token, master: u8, now_us: u64) -> Verdict {
        let deletes = self.keys.get(&token.key).map_or(&[][..], |history| &history.deletes);
        let mine = deletes
            .iter()
            .filter(|(through, _, at)| *through == master && *at >= token.began_us);
        let versions = mine.map(|(_, version, _)| *version);
        let (least, most) = (versions.clone().min(), versions.max());
        if least == most {
            return self.acknowledge(token, least, None, now_us);
        }
        self.acknowledge(token, None, None, now_us)?;
        if let (true, Some(history)) = (self.binds(token), self.keys.get_mut(&token.key)) {
            history.floor = history.floor.max(least.unwrap_or_default());
        }
        Ok(())
    }

    /// A write was acknowledged.
    pub(crate) fn acknowledge(&mut self, token: &Token, version: Option<u64>, replaced: Option<u64>, now_us: u64) -> Verdict {
        let (era, lenient) = (self.era, self.lenient);
        self.acknowledged += 1;
        let history = self.keys.entry(token.key.clone()).or_default();
        let Some(write) = token.write.and_then(|write| history.writes.get_mut(write)) else {
            return Ok(());
        };
        write.fate = Fate::Acknowledged;
        write.latest = Some(now_us + SKEW);
        write.version = version;
        if write.era != era || lenient {
            return Ok(());
        }
        if write.change == Change::Incr {
            history.counted += 1;
        }
        let Some(version) = version else {
            history.floor = history.floor.max(token.floor + 1);
            return Ok(());
        };
        let key = &token.key;
        let is_over = write.is_over(now_us);
        let is_late = version <= token.floor;
        if is_late && !history.has_expired(token.floor, now_us) {
            return Err(format!(
                "a write of {key} was acknowledged as {version}, after {} had been",
                token.floor
            ));
        }
        if let Some((_, from, to)) = history
            .swaps
            .iter()
            .find(|(of, from, to)| *of == era && *from < version && version < *to && !history.has_expired(*to, now_us))
        {
            return Err(format!(
                "{key}: {version} was acknowledged, and {to} as the direct successor of {from}"
            ));
        }
        if let Some(replaced) = replaced {
            let lies_between = |other| replaced < other && other < version;
            let between = |write: &&Write| write.era == era && write.version.is_some_and(lies_between) && !write.is_over(now_us);
            // What has expired already keeps no older stamp out.
            if let Some(other) = history.writes.iter().find(between).filter(|_| !is_over) {
                return Err(format!("{key}: {version} replaced {replaced}, between them lies {other:?}"));
            }
            history.swaps.push((era, replaced, version));
        }
        if version < history.floor && history.has_expired(history.floor, now_us) {
            // What expired keeps no older stamp out.
            history.turn += 1;
            history.swaps.clear();
            history.floor = version;
        }
        history.floor = history.floor.max(version);
        Ok(())
    }

    /// An increment was acknowledged with this sum.
    pub(crate) fn counted(&mut self, token: &Token, sum: i64) -> Verdict {
        let era = self.era;
        let history = self.keys.entry(token.key.clone()).or_default();
        if !self.lenient && token.era == era && !history.sums.insert((era, sum)) {
            return Err(format!("two increments of {} led to {sum}", token.key));
        }
        self.check_sum(token, sum)
    }

    fn check_sum(&self, token: &Token, sum: i64) -> Verdict {
        let Some(history) = self.keys.get(&token.key) else {
            return Ok(());
        };
        let (least, most) = (token.counted as i64, history.at_most as i64);
        if sum > most || (sum < least && self.binds(token)) {
            return Err(format!(
                "{} is {sum}, after {least} acknowledged increments of {most}",
                token.key
            ));
        }
        Ok(())
    }

    /// A write was certainly not executed.
    pub(crate) fn fail(&mut self, token: &Token) -> Verdict {
        self.failed += 1;
        let history = self.keys.entry(token.key.clone()).or_default();
        let Some(write) = token.write.and_then(|write| history.writes.get_mut(write)) else {
            return Ok(());
        };
        write.fate = Fate::Failed;
        if write.change == Change::Incr {
            history.at_most -= 1;
        }
        match write.seen {
            true => Err(format!(
                "{}: {write:?} was read, and then said not to have been executed",
                token.key
            )),
            false => Ok(()),
        }
    }

    /// The outcome of a write is not known; with `over`, it gets no stamp after this moment.
    pub(crate) fn leave_open(&mut self, token: &Token, over: bool, now_us: u64) {
        self.unknown += 1;
        let history = self.keys.entry(token.key.clone()).or_default();
        if let Some(write) = token.write.and_then(|write| history.writes.get_mut(write)) {
            write.latest = over.then_some(now_us + SKEW);
        }
    }

    /// A read found a value.
    pub(crate) fn found(&mut self, token: &Token, value: &str, version: u64, expires_at_ms: u64, now_us: u64) -> Verdict {
        self.reads += 1;
        let (key, lenient) = (&token.key, self.lenient);
        if let Ok(sum) = value.parse() {
            self.check_sum(token, sum)?;
            return self.check_floor(token, version, now_us);
        }
        let history = self.keys.entry(key.clone()).or_default();
        let of_value = |write: &&mut Write| matches!(&write.change, Change::Put { value: written, .. } if written == value);
        let Some(write) = history.writes.iter_mut().find(of_value) else {
            return Err(format!("{key}: nobody ever wrote {value}"));
        };
        write.seen = true;
        if write.fate == Fate::Failed {
            return Err(format!(
                "{key}: {value} was said not to have been executed, and is there as {version}"
            ));
        }
        let known = history.values.entry(version).or_insert_with(|| value.to_owned());
        if known != value && !lenient {
            return Err(format!("{key}: {known} and {value} are both version {version}"));
        }
        if expires_at_ms != 0 && expires_at_ms * 1_000 + SKEW < token.began_us {
            return Err(format!("{key}: {value} expired long ago"));
        }
        self.check_floor(token, version, now_us)
    }

    /// A write was refused because the key has this version.
    pub(crate) fn not_older(&self, token: &Token, version: u64, now_us: u64) -> Verdict {
        self.check_floor(token, version, now_us)
    }

    fn check_floor(&self, token: &Token, version: u64, now_us: u64) -> Verdict {
        let has_expired = || {
            self.keys
                .get(&token.key)
                .is_some_and(|history| history.has_expired(token.floor, now_us))
        };
        if version < token.floor && self.binds(token) && !has_expired() {
            return Err(format!(
                "{} is {version}, and {} had been acknowledged",
                token.key, token.floor
            ));
        }
        Ok(())
    }

    /// A read found nothing.
    pub(crate) fn missed(&mut self, token: &Token, now_us: u64) -> Verdict {
        self.reads += 1;
        if token.floor == 0 || !self.binds(token) {
            return Ok(());
        }
        let Some(history) = self.keys.get(&token.key) else {
            return Ok(());
        };
        let now_stamp = stamp(now_us) + SKEW;
        let explains = |write: &Write| {
            let latest = write.version.or(write.latest.map(stamp)).unwrap_or(now_stamp);
            let expired = write.change.expires_at_ms();
            let ends = write.change == Change::Delete || (expired != 0 && expired * 1_000 <= now_us + SKEW);
            write.fate != Fate::Failed && ends && latest >= token.floor
        };
        match history.writes.iter().any(explains) {
            true => Ok(()),
            false => Err(format!("{} is gone, and {} had been acknowledged", token.key, token.floor)),
        }
    }

    /// What is certain now.
    pub(crate) fn save(&self) -> Saved {
        Saved(
            self.keys
                .iter()
                .map(|(key, history)| (key.clone(), (history.floor, history.counted)))
                .collect(),
        )
    }

    /// Everything was restarted from backups that are not older than `saved`.
    pub(crate) fn restart(&mut self, saved: &Saved) {
        self.era += 1;
        for (key, history) in &mut self.keys {
            (history.floor, history.counted) = saved.0.get(key).copied().unwrap_or_default();
        }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.keys().cloned().collect()
    }
}
