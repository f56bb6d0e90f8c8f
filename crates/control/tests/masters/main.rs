//! Three masters over real sockets: the suite through the leader and through a follower, and faults.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod cluster;
mod faults;

mod leader {
    use std::sync::Arc;

    use control::ControlStore;

    use crate::cluster::Cluster;

    async fn start() -> (Arc<dyn ControlStore>, Cluster) {
        let cluster = Cluster::start(3).await;
        let leader = cluster.leader().await;
        (cluster.store(leader), cluster)
    }

    control::conformance!(start);
}

mod follower {
    use std::sync::Arc;

    use control::ControlStore;

    use crate::cluster::Cluster;

    async fn start() -> (Arc<dyn ControlStore>, Cluster) {
        let cluster = Cluster::start(3).await;
        let follower = cluster.follower().await;
        (cluster.store(follower), cluster)
    }

    control::conformance!(start);
}
