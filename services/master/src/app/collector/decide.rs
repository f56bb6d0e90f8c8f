//! Which blobs go: pure, so that it can be tried on anything.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Cover;

/// Since when nothing has covered each of these blobs.
pub type Seen = BTreeMap<String, Instant>;

/// The blobs to remove, of all there are: those that nothing covers now, nor did in any round for as long as `grace`. `seen` is what
/// this function made of it in the round before.
#[must_use]
pub fn decide(blobs: &[String], cover: &Cover, seen: &mut Seen, now: Instant, grace: Duration) -> Vec<String> {
    let mut still = Seen::new();
    let mut doomed = Vec::new();
    for name in blobs.iter().filter(|name| !cover.covers(name)) {
        let since = seen.get(name).copied().unwrap_or(now);
        if now.saturating_duration_since(since) >= grace {
            doomed.push(name.clone());
        }
        still.insert(name.clone(), since);
    }
    *seen = still;
    doomed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const GRACE: Duration = Duration::from_secs(60);
    const JOBS: [&str; 3] = ["job-a", "job-b", "job-c"];

    /// What may cover the blobs of a small world, round by round.
    fn cover() -> impl Strategy<Value = Cover> {
        let names = prop::collection::btree_set(prop::sample::select(world()), 0..6);
        let jobs = prop::collection::btree_set(prop::sample::select(JOBS.map(str::to_owned).to_vec()), 0..2);
        let pins = prop::collection::btree_set(
            prop::sample::select(vec!["datasets/_/x/".to_owned(), "datasets/_/y/".to_owned()]),
            0..2,
        );
        (names, jobs, pins).prop_map(|(names, running, pins)| Cover {
            names,
            running,
            pins: pins.into_iter().collect(),
        })
    }

    fn world() -> Vec<String> {
        let mut all = Vec::new();
        for job in JOBS {
            all.push(format!("results/{job}/0-0.arrow"));
            for dataset in ["x", "y"] {
                all.push(format!("datasets/_/{dataset}/{job}/0-0.parquet"));
            }
        }
        all.push("datasets/_/x/v1/a.csv".to_owned());
        all.push("datasets/_/y/v2/b.csv".to_owned());
        all
    }

    proptest! {
        #[test]
        fn what_goes_was_covered_by_nothing_for_the_whole_grace(
            rounds in prop::collection::vec((cover(), prop::collection::btree_set(0..11usize, 0..11), 1..40u64), 1..30)
        ) {
            let world = world();
            let mut seen = Seen::new();
            let mut now = Instant::now();
            let mut history: Vec<(Instant, Cover, BTreeSet<String>)> = Vec::new();
            for (cover, there, pause) in rounds {
                now += Duration::from_secs(pause);
                let there: BTreeSet<String> = there.into_iter().map(|n| world[n].clone()).collect();
                let listed: Vec<String> = there.iter().cloned().collect();
                let doomed = decide(&listed, &cover, &mut seen, now, GRACE);
                history.push((now, cover, there.clone()));
                for name in &doomed {
                    prop_assert!(there.contains(name));
                    // Back through the rounds: it was there and uncovered in all of them, for at least the grace.
                    let mut since = now;
                    for (at, cover, there) in history.iter().rev() {
                        if cover.covers(name) || !there.contains(name) { break; }
                        since = *at;
                    }
                    prop_assert!(now - since >= GRACE, "{name} went after {:?}", now - since);
                }
                for name in &there {
                    let uncovered = |(_, cover, there): &&(Instant, Cover, BTreeSet<String>)| there.contains(name) && !cover.covers(name);
                    let first = history.iter().rev().take_while(uncovered).last().map_or(now, |(at, ..)| *at);
                    prop_assert_eq!(doomed.contains(name), now - first >= GRACE && !history[history.len() - 1].1.covers(name));
                }
            }
        }
    }
}
