//! A map that loses nothing, and always has a victim that is not what was written just now.

use std::collections::BTreeMap;

use proptest::prelude::{TestCaseError, prop_assert, prop_assert_eq, proptest};

use super::{Policy, Step, StoredKey, keeps, key, number, steps};

fn check(policy: Policy, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut table = policy.table::<usize>();
    let mut model = BTreeMap::new();
    let mut latest = None;
    for (time, step) in steps.iter().copied().enumerate() {
        match step {
            Step::Get(n) => {
                let found = table.get_entry(key(n)).map(|(stored, value)| (number(stored), *value));
                latest = latest.filter(|latest| *latest == n || found.is_none());
                prop_assert_eq!(found, model.get(&n).map(|value| (n, *value)));
            }
            Step::Peek(n) => prop_assert_eq!(table.peek(key(n)), model.get(&n)),
            Step::Insert(n) => {
                prop_assert_eq!(table.insert(StoredKey::from(key(n)), time), model.insert(n, time));
                latest = Some(n);
            }
            Step::Remove(n) => {
                let removed = table.remove(key(n)).map(|(stored, value)| (number(&stored), value));
                prop_assert_eq!(removed, model.remove_entry(&n));
            }
            Step::Evict => {
                let others = model.keys().any(|n| latest != Some(*n));
                match table.victim() {
                    Some((stored, value)) => {
                        let n = number(&stored);
                        prop_assert_eq!(model.remove(&n), Some(value));
                        prop_assert!(latest != Some(n) || !others, "{:?} evicted what was written last", policy);
                    }
                    None => prop_assert!(model.is_empty()),
                }
            }
            Step::Thin(divisor) => {
                let dropped: Vec<usize> = model.keys().copied().filter(|n| !keeps(divisor, *n)).collect();
                for n in dropped {
                    let removed = table.remove(key(n)).map(|(stored, value)| (number(&stored), value));
                    prop_assert_eq!(removed, model.remove_entry(&n));
                }
            }
        }
        prop_assert_eq!(table.len(), model.len());
    }
    for (n, value) in &model {
        prop_assert_eq!(table.peek(key(*n)), Some(value));
    }
    while let Some((stored, value)) = table.victim() {
        prop_assert_eq!(model.remove(&number(&stored)), Some(value));
    }
    prop_assert!(model.is_empty(), "never a victim: {:?}", model);
    Ok(())
}

proptest! {
    #[test]
    fn every_policy_is_a_map_that_loses_nothing(steps in steps()) {
        for policy in Policy::ALL {
            check(policy, &steps)?;
        }
    }
}
