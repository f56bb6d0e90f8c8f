//! A cluster over wires in memory that can be cut: the nodes, their disks, and what passes between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::crash_disk::CrashDisk;
use crate::raft::network::message::Call;
use crate::raft::network::{Answer, Body, Network, NetworkError, Request};
use crate::raft::serve::Endpoint;
use crate::raft::tests::eventually;
use crate::raft::{InitialMember, RaftNode, RaftOptions, RaftStore};

/// All nodes by address, and what does not get through.
#[derive(Debug, Clone, Default)]
pub(super) struct Wires {
    endpoints: Arc<Mutex<BTreeMap<String, Weak<Endpoint>>>>,
    cut: Arc<Mutex<BTreeSet<String>>>,
    /// Calls of these routes get through, their answers do not.
    swallowed: Arc<Mutex<BTreeSet<&'static str>>>,
    carried: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

#[derive(Debug)]
struct Wire {
    own: String,
    wires: Wires,
}

impl Wire {
    fn endpoint(&self, address: &str, call: &Call) -> Result<Arc<Endpoint>, NetworkError> {
        let cut = self.wires.cut.lock();
        let endpoint = self.wires.endpoints.lock().get(address).and_then(Weak::upgrade);
        let endpoint = endpoint.filter(|_| !cut.contains(&self.own) && !cut.contains(address));
        *self.wires.carried.lock().entry(call.name()).or_default() += 1;
        endpoint.ok_or_else(|| NetworkError::NotSent(format!("the wire to {address} is cut")))
    }
}

#[async_trait]
impl Network for Wire {
    async fn call(&self, address: &str, request: Request, deadline: Duration) -> Result<Answer, NetworkError> {
        let route = request.call.name();
        let endpoint = self.endpoint(address, &request.call)?;
        let late = |_| NetworkError::Unknown("no answer".to_owned());
        let answer = tokio::time::timeout(deadline, endpoint.answer(request)).await.map_err(late)?;
        if self.wires.swallowed.lock().contains(route) {
            return Err(NetworkError::Unknown("the answer is lost".to_owned()));
        }
        // It may have been cut meanwhile.
        self.endpoint(address, &Call::ReadIndex)
            .map_err(|error| NetworkError::Unknown(error.to_string()))?;
        Ok(answer)
    }

    async fn send(&self, address: &str, request: Request, body: Body, _deadline: Duration) -> Result<Answer, NetworkError> {
        let endpoint = self.endpoint(address, &request.call)?;
        Ok(endpoint.receive(request, body).await)
    }
}

/// A cluster.
pub(super) struct World {
    pub(super) wires: Wires,
    pub(super) initial: Vec<InitialMember>,
    pub(super) dirs: BTreeMap<String, TempDir>,
    pub(super) disks: BTreeMap<String, CrashDisk>,
    pub(super) stores: BTreeMap<String, Arc<RaftStore>>,
}

impl World {
    /// So many masters, begun together: m1, m2, …
    pub(super) async fn start(size: usize) -> Self {
        let names: Vec<String> = (1..=size).map(|number| format!("m{number}")).collect();
        let mut world = Self {
            wires: Wires::default(),
            initial: names.iter().map(|name| member(name)).collect(),
            dirs: BTreeMap::new(),
            disks: BTreeMap::new(),
            stores: BTreeMap::new(),
        };
        let starting: Vec<_> = names.iter().map(|name| (name.clone(), world.starting(name, &[]))).collect();
        for (name, starting) in starting {
            world.stores.insert(name, starting.await.unwrap().unwrap());
        }
        world
    }

    /// Begins the start of a node, in its directory.
    pub(super) fn starting(&mut self, name: &str, join: &[&str]) -> JoinHandle<Result<Arc<RaftStore>, Error>> {
        let options = self.options(name, join);
        let (wires, own) = (self.wires.clone(), options.address.clone());
        let disk = self.disks.entry(name.to_owned()).or_default().clone();
        tokio::spawn(async move {
            let wire = Wire {
                own: own.clone(),
                wires: wires.clone(),
            };
            let node = prepare(disk, wire, options).await?;
            wires.endpoints.lock().insert(own, Arc::downgrade(&node.local.endpoint));
            node.start().await
        })
    }

    fn options(&mut self, name: &str, join: &[&str]) -> RaftOptions {
        let mut options = RaftOptions::new(self.dir(name), name);
        options.address = member(name).address;
        if let Some(listed) = self.initial.iter().find(|member| member.name == name) {
            options.address = listed.address.clone();
        }
        if join.is_empty() {
            options.initial_cluster = self.initial.clone();
        }
        options.join = join.iter().map(|name| member(name).address).collect();
        (options.snapshot_entries, options.snapshot_keep_entries) = (30, 5);
        options.heartbeat = Duration::from_millis(50);
        options.election_timeout = (Duration::from_millis(300), Duration::from_millis(600));
        options.request_timeout = Duration::from_secs(3);
        options
    }

    pub(super) fn dir(&mut self, name: &str) -> PathBuf {
        let dir = self
            .dirs
            .entry(name.to_owned())
            .or_insert_with(|| tempfile::tempdir().unwrap());
        dir.path().to_owned()
    }

    pub(super) async fn open(&mut self, name: &str, join: &[&str]) -> Arc<RaftStore> {
        let store = self.starting(name, join).await.unwrap().unwrap();
        self.stores.insert(name.to_owned(), Arc::clone(&store));
        store
    }

    /// Stops a node as SIGTERM does.
    pub(super) async fn stop(&mut self, name: &str) {
        self.stores.remove(name).unwrap().shutdown().await.unwrap();
    }

    /// Cuts a node off from all others.
    pub(super) fn cut(&self, name: &str) {
        self.wires.cut.lock().insert(member(name).address);
    }

    pub(super) fn is_cut(&self, name: &str) -> bool {
        self.wires.cut.lock().contains(&member(name).address)
    }

    pub(super) fn mend(&self) {
        self.wires.cut.lock().clear();
    }

    /// Lets calls of a route through, and loses their answers.
    pub(super) fn swallow(&self, route: &'static str) {
        self.wires.swallowed.lock().insert(route);
    }

    pub(super) fn swallow_nothing(&self) {
        self.wires.swallowed.lock().clear();
    }

    /// Calls of a route so far.
    pub(super) fn carried(&self, route: &str) -> usize {
        self.wires.carried.lock().get(route).copied().unwrap_or(0)
    }

    /// The leader through which a write passes.
    pub(super) async fn leader(&self) -> Arc<RaftStore> {
        let mut leader = None;
        eventually("somebody leads", async || {
            for (name, store) in &self.stores {
                let reachable = !self.wires.cut.lock().contains(&member(name).address);
                if reachable && store.is_raft_leader() && store.put("probe", "".into(), None).await.is_ok() {
                    leader = Some(Arc::clone(store));
                }
            }
            leader.is_some()
        })
        .await;
        leader.unwrap()
    }

    /// A master that can be reached and does not lead.
    pub(super) async fn follower(&self) -> Arc<RaftStore> {
        let leader = self.leader().await;
        let mut others = self.stores.iter().filter(|(name, _)| *name != leader.name());
        let reachable = others.find(|(name, _)| !self.wires.cut.lock().contains(&member(name).address));
        Arc::clone(reachable.unwrap().1)
    }

    pub(super) async fn end(self) {
        for store in self.stores.values() {
            store.shutdown().await.unwrap();
        }
    }
}

async fn prepare(disk: CrashDisk, wire: Wire, options: RaftOptions) -> Result<RaftNode, Error> {
    // The one before may still be letting go of the directory.
    for _ in 0..250 {
        let disk = Arc::new(disk.clone());
        let network = Arc::new(Wire {
            own: wire.own.clone(),
            wires: wire.wires.clone(),
        });
        match RaftNode::prepare_on(disk, network, options.clone()).await {
            Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            done => return done,
        }
    }
    panic!("the directory stays in use");
}

pub(super) fn member(name: &str) -> InitialMember {
    InitialMember {
        name: name.to_owned(),
        address: format!("{name}:9000"),
    }
}
