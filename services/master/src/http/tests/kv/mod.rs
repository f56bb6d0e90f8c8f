//! The key-value store's API. Every check runs on both engines: what a client sees must not depend on which one it is.

mod conditions;
mod limits;
mod listings;
mod namespaces;
mod side;
mod transactions;
mod watches;

/// Makes a test of each check for each engine.
macro_rules! on_both_engines {
    ($($check:ident)+) => {
        mod raft {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(super::Side::raft().await).await;
            })+
        }
        #[cfg(feature = "etcd")]
        mod etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(super::Side::etcd().await).await;
            })+
        }
    };
}
use on_both_engines;
pub(in crate::http) use side::Side;
