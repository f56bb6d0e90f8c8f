//! Settings of the nodes of one process: the services' defaults, but for names, addresses and directories.

use std::path::PathBuf;

use settings::{List, Secret};
use telemetry::traces::TraceSettings;

use super::UpArgs;
use super::data::DataDir;

/// What all nodes of one stack share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// How it was asked for.
    pub(super) arguments: &'a UpArgs,
    /// Where it keeps things.
    pub(super) data: &'a DataDir,
    /// New at each start: nobody outside of this process is a peer.
    pub(super) token: Secret,
    /// Where spans go.
    pub(super) traces: TraceSettings,
}

impl Shared<'_> {
    /// The master, with the control store.
    pub(super) fn master(&self) -> master::Settings {
        master::Settings {
            node_id: "master-1".to_owned(),
            bind: self.arguments.bind,
            port: self.arguments.port,
            internal_port: self.arguments.master_port(),
            advertise_addr: self.arguments.host(),
            cluster_token: self.token.clone(),
            control_store: master::ControlEngine::Raft,
            raft_dir: self.data.join("control"),
            auth: match self.arguments.root_key() {
                Some(_) => master::Auth::On,
                None => master::Auth::Off,
            },
            elasticore_root_key: Secret::new(self.arguments.root_key().unwrap_or_default()),
            traces: self.traces.clone(),
            ..master::Settings::default()
        }
    }

    /// An auxiliary, counted from 0, that joins through a master's public address.
    pub(super) fn auxiliary(&self, at: u16, master: &str) -> auxiliary::Settings {
        let node_id = format!("auxiliary-{}", at + 1);
        auxiliary::Settings {
            bind: self.arguments.bind,
            port: self.arguments.auxiliary_port(at),
            advertise_addr: self.arguments.host(),
            master_address: Some(master.to_owned()),
            cluster_token: self.token.clone(),
            blob_dir: self.data.join(&node_id).join("blobs"),
            backup_dir: self.data.join(&node_id).join("backups"),
            node_id,
            traces: self.traces.clone(),
            ..auxiliary::Settings::default()
        }
    }

    /// A worker, counted from 0, that joins through a master's public address and may read `readable`.
    pub(super) fn worker(&self, at: u16, master: &str, readable: &[PathBuf]) -> worker::Settings {
        let node_id = format!("worker-{}", at + 1);
        worker::Settings {
            bind: self.arguments.bind,
            port: self.arguments.worker_port(at),
            advertise_addr: self.arguments.host(),
            master_address: Some(master.to_owned()),
            cluster_token: self.token.clone(),
            worker_slots: slots(self.arguments.workers),
            work_dir: self.data.join(&node_id),
            data_dirs: List(readable.iter().map(|path| path.to_string_lossy().into_owned()).collect()),
            node_id,
            traces: self.traces.clone(),
            ..worker::Settings::default()
        }
    }
}

/// The workers share the machine's cores.
fn slots(workers: u16) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    cores.div_ceil(workers.into())
}
