//! The etcd engine on real servers: the suite, and faults.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod access;
mod faults;

use std::sync::Arc;

use control::ControlStore;
use control::conformance::EtcdServer;
use control::etcd::{EtcdOptions, EtcdStore};

async fn start() -> (Arc<dyn ControlStore>, EtcdServer) {
    let server = EtcdServer::start(&[]).await;
    let store = EtcdStore::connect(EtcdOptions::new(vec![server.endpoint()])).await.unwrap();
    (Arc::new(store), server)
}

control::conformance!(start);
