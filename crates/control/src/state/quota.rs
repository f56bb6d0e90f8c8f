//! The quota of the user's keys: it is checked before anything changes, so that a refused transaction has done nothing.

use std::collections::HashSet;

use super::{State, charge};
use crate::error::Error;
use crate::types::Op;
use crate::user_keys::is_users;

impl State {
    /// Refuses steps that would grow the user's keys beyond the quota. Steps that shrink them always pass, so that a
    /// full store can be emptied.
    pub(super) fn check_quota(&self, branch: &[Op], quota: u64) -> Result<(), Error> {
        let (mut added, mut freed) = (0_u64, 0_u64);
        for op in branch {
            if let Op::Put { key, value, .. } = op
                && is_users(key)
            {
                added += charge(key, value);
                freed += self.keys.get(key.as_str()).map_or(0, |old| charge(key, &old.value));
            }
        }
        if added <= freed || self.user_bytes + added - freed <= quota {
            return Ok(());
        }
        freed += self.freed_by_deletes(branch);
        let used = (self.user_bytes + added).saturating_sub(freed);
        if added > freed && used > quota {
            Err(Error::QuotaExceeded { used, quota })
        } else {
            Ok(())
        }
    }

    fn freed_by_deletes(&self, branch: &[Op]) -> u64 {
        let mut gone = HashSet::new();
        for op in branch {
            match op {
                Op::Delete { key } => gone.extend(self.keys.get_key_value(key.as_str()).map(|(key, _)| &**key)),
                Op::DeletePrefix { prefix } => gone.extend(self.with_prefix(prefix).map(|(key, _)| &**key)),
                Op::Put { .. } | Op::Get { .. } | Op::Range(_) => {}
            }
        }
        let user_keys = gone.into_iter().filter(|key| is_users(key));
        user_keys
            .map(|key| self.keys.get(key).map_or(0, |old| charge(key, &old.value)))
            .sum()
    }
}
