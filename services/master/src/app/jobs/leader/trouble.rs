//! Writes that fail over and over: told at once, then once a minute, and when it is over.

use jobs::Millis;

/// Time between two lines.
const PAUSE: Millis = 60_000;

/// How writes of records fare.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Since when they fail.
    since: Option<Millis>,
    told: Millis,
    untold: u64,
}

impl Trouble {
    /// A write has failed. How many failures went untold, if it is time to tell of one.
    pub(super) fn failed(&mut self, now: Millis) -> Option<u64> {
        if self.since.is_some() && now < self.told + PAUSE {
            self.untold += 1;
            return None;
        }
        self.since.get_or_insert(now);
        self.told = now;
        Some(std::mem::take(&mut self.untold))
    }

    /// A write has succeeded. How long they failed before, if they did.
    pub(super) fn ended(&mut self, now: Millis) -> Option<Millis> {
        let since = std::mem::take(self).since?;
        Some(now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_at_once_and_then_once_a_minute_and_so_is_the_end() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.ended(1), None);
        assert_eq!(trouble.failed(1_000), Some(0));
        assert!((0..600).all(|at| trouble.failed(1_000 + at * 100).is_none()));
        assert_eq!(trouble.failed(1_000 + PAUSE), Some(600));
        assert_eq!(trouble.ended(71_000), Some(70_000));
        assert_eq!((trouble.ended(72_000), trouble.failed(73_000)), (None, Some(0)));
    }
}
