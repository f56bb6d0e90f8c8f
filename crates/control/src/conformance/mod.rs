//! Every promise of [`ControlStore`], as a check that any engine can be put to.
//!
//! A check takes a store that nobody else writes to, and a prefix of its own. The macro
//! [`conformance!`](macro@crate::conformance) makes one test of each:
//!
//! ```ignore
//! async fn start() -> (Arc<dyn ControlStore>, impl Sized) { (store, what_must_live_as_long) }
//! control::conformance!(start);
//! ```

pub mod concurrency;
mod etcd_server;
pub mod leases;
mod port;
pub mod reads;
pub mod transactions;
mod watcher;
pub mod watches;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::etcd_server::{EtcdCluster, EtcdServer};
pub use self::port::Port;
pub use self::watcher::Watcher;
use crate::types::{Compare, Consistency, KeyValue, LeaseId, Op, Range, RangeResponse, Revision, Txn, TxnResponse};
use crate::{ControlStore, Error};

/// The store under test.
pub type Store = Arc<dyn ControlStore>;

/// Longest time for one check; far beyond what any takes, so that a hang becomes a failure with a name.
pub const LIMIT: Duration = Duration::from_secs(90);

/// Makes one `#[tokio::test]` of each check. `start` is an async function that gives the store and whatever must live
/// as long as the test.
#[macro_export]
macro_rules! conformance {
    ($start:path) => {
        $crate::conformance!(@checks $start;
            reads::absent_key_is_none
            reads::get_gives_what_was_put
            reads::empty_value_is_a_value
            reads::value_of_a_mebibyte_survives
            reads::range_is_in_byte_order
            reads::range_pages_by_limit_and_after
            reads::range_after_a_key_outside_the_prefix
            reads::prefix_is_no_pattern
            reads::empty_prefix_is_everything
            reads::range_carries_the_revision_of_the_store
            reads::stale_read_catches_up
            transactions::branch_follows_the_compares
            transactions::every_compare_must_hold
            transactions::compare_with_an_absent_key
            transactions::all_steps_are_one_revision
            transactions::versions_count_writes_since_creation
            transactions::without_a_change_the_revision_stays
            transactions::put_of_the_same_value_is_a_change
            transactions::delete_says_how_many
            transactions::delete_prefix_spares_its_neighbours
            transactions::key_written_twice_is_invalid
            transactions::empty_key_is_invalid
            transactions::too_large_is_invalid
            transactions::reads_see_the_writes_before_them
            transactions::hundred_steps_fit
            transactions::put_helper_gives_the_revision
            leases::grant_gives_at_least_what_was_asked
            leases::key_vanishes_when_its_lease_expires
            leases::key_stays_while_its_lease_is_kept_alive
            leases::revoke_removes_all_keys_at_one_revision
            leases::revoke_without_keys_keeps_the_revision
            leases::ended_lease_is_not_found
            leases::put_with_an_unknown_lease_changes_nothing
            leases::key_follows_its_last_lease
            leases::deleted_key_leaves_its_lease
            watches::from_now_shows_only_what_follows
            watches::from_a_past_revision_replays
            watches::from_a_future_revision_waits
            watches::prefix_filters
            watches::events_of_a_revision_come_together
            watches::large_revisions_come_whole
            watches::deletes_show
            watches::from_the_first_revision_replays_or_is_compacted
            watches::slow_reader_misses_nothing
            watches::nothing_is_missed_under_concurrent_writes
            watches::dropped_watch_leaves_others_alone
            watches::listing_and_watch_meet_without_a_gap
            concurrency::increments_are_not_lost
            concurrency::one_creator_wins
            concurrency::readers_see_whole_transactions
            concurrency::transfers_keep_the_sum
            concurrency::every_write_has_a_revision_of_its_own
            concurrency::acknowledged_write_is_read_at_once
        );
    };
    (@checks $start:path; $($group:ident::$check:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            let (store, keep) = $start().await;
            let prefix = $crate::conformance::unique_prefix(stringify!($check));
            let check = $crate::conformance::$group::$check(store, prefix);
            tokio::time::timeout($crate::conformance::LIMIT, check).await.expect("the check hangs");
            drop(keep);
        }
    )+};
}

/// A prefix that no other run of any check uses.
#[must_use]
pub fn unique_prefix(check: &str) -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("conformance/{check}/{:x}-{:x}/", std::process::id(), now.as_nanos())
}

pub(crate) fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Op {
    let (key, value) = (key.into(), value.into());
    Op::Put { key, value, lease: None }
}

pub(crate) fn put_leased(key: impl Into<String>, lease: LeaseId) -> Op {
    let (key, lease) = (key.into(), Some(lease));
    let value = Bytes::from_static(b"leased");
    Op::Put { key, value, lease }
}

pub(crate) fn delete(key: impl Into<String>) -> Op {
    Op::Delete { key: key.into() }
}

pub(crate) async fn commit(store: &Store, then: Vec<Op>) -> TxnResponse {
    commit_if(store, Vec::new(), then).await
}

pub(crate) async fn commit_if(store: &Store, compares: Vec<Compare>, then: Vec<Op>) -> TxnResponse {
    attempt(store, compares, then).await.expect("the transaction is fine")
}

pub(crate) async fn attempt(store: &Store, compares: Vec<Compare>, then: Vec<Op>) -> crate::Result<TxnResponse> {
    let otherwise = Vec::new();
    store
        .txn(Txn {
            compares,
            then,
            otherwise,
        })
        .await
}

pub(crate) async fn get(store: &Store, key: impl AsRef<str>) -> Option<KeyValue> {
    store
        .get(key.as_ref(), Consistency::Linearizable)
        .await
        .expect("the store answers")
}

pub(crate) async fn list(store: &Store, range: Range) -> RangeResponse {
    store
        .range(range, Consistency::Linearizable)
        .await
        .expect("the store answers")
}

pub(crate) async fn keys(store: &Store, range: Range) -> Vec<String> {
    list(store, range).await.items.into_iter().map(|kv| kv.key).collect()
}

pub(crate) async fn revision(store: &Store) -> Revision {
    let nothing = Range {
        prefix: "conformance/".to_owned(),
        limit: 1,
        after: None,
    };
    list(store, nothing).await.revision
}

#[track_caller]
pub(crate) fn assert_invalid<T: std::fmt::Debug>(result: crate::Result<T>, what: &str) {
    assert!(matches!(result, Err(Error::Invalid(_))), "{what}: {result:?}");
}
