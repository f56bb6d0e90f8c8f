//! The running nodes: started in order, watched together, stopped in the opposite order.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use futures::FutureExt;
use futures::future::{join_all, select_all};
use settings::{Secret, Sources};
use telemetry::traces::TraceSettings;
use uuid::Uuid;

use super::UpArgs;
use super::data::DataDir;
use super::nodes::Shared;

/// All nodes of one process.
pub(super) struct Stack {
    host: String,
    readable: Vec<PathBuf>,
    master: master::Handle,
    auxiliaries: Vec<auxiliary::Handle>,
    workers: Vec<worker::Handle>,
}

impl Stack {
    /// Starts every node; `about_to_start` is told its name. When one fails, those before it are stopped.
    ///
    /// # Errors
    /// What kept a node from starting, with its name.
    pub(super) async fn start(
        arguments: &UpArgs,
        data: &DataDir,
        readable: Vec<PathBuf>,
        about_to_start: impl Fn(&str),
    ) -> anyhow::Result<Self> {
        let token = Secret::new(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
        let shared = Shared {
            arguments,
            data,
            token,
            // Each node under the name of its service.
            traces: TraceSettings {
                otel_service_name: String::new(),
                ..settings::load(&Sources::of_process([])?)?
            },
        };
        about_to_start("master-1");
        let master = master::start(shared.master()).await.context("master-1 cannot start")?;
        let mut stack = Self {
            host: arguments.host(),
            readable,
            master,
            auxiliaries: Vec::new(),
            workers: Vec::new(),
        };
        match stack.start_nodes(&shared, about_to_start).await {
            Ok(()) => Ok(stack),
            Err(error) => {
                stack.stop().await;
                Err(error)
            }
        }
    }

    async fn start_nodes(&mut self, shared: &Shared<'_>, about_to_start: impl Fn(&str)) -> anyhow::Result<()> {
        let master = self.public();
        for at in 0..shared.arguments.auxiliaries {
            let settings = shared.auxiliary(at, &master);
            let name = settings.node_id.clone();
            about_to_start(&name);
            let started = auxiliary::start(settings).await;
            self.auxiliaries
                .push(started.with_context(|| format!("{name} cannot start"))?);
        }
        for at in 0..shared.arguments.workers {
            let settings = shared.worker(at, &master, &self.readable);
            let name = settings.node_id.clone();
            about_to_start(&name);
            let started = worker::start(settings).await;
            self.workers.push(started.with_context(|| format!("{name} cannot start"))?);
        }
        Ok(())
    }

    /// `host:port` of the public API.
    pub(super) fn public(&self) -> String {
        self.reached(self.master.public())
    }

    fn reached(&self, address: SocketAddr) -> String {
        format!("{}:{}", self.host, address.port())
    }

    /// Directories whose files jobs may read.
    pub(super) fn readable(&self) -> &[PathBuf] {
        &self.readable
    }

    /// Whether the master takes clients.
    pub(super) fn is_ready(&self) -> bool {
        self.master.is_ready()
    }

    /// How many nodes of each kind.
    pub(super) fn describe(&self) -> String {
        let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        format!(
            "1 master, {}, {}",
            count(self.auxiliaries.len(), "auxiliary", "auxiliaries"),
            count(self.workers.len(), "worker", "workers")
        )
    }

    /// Returns when a node cannot go on, with the reason.
    pub(super) async fn failed(&self) -> anyhow::Error {
        let master = self.master.failed().map(|error| cannot_go_on("master-1", error)).boxed();
        let auxiliaries = self.auxiliaries.iter().zip(1..).map(|(node, at)| {
            let failed = node.failed();
            failed
                .map(move |error| cannot_go_on(&format!("auxiliary-{at}"), error.into()))
                .boxed()
        });
        let workers = self.workers.iter().zip(1..).map(|(node, at)| {
            let failed = node.failed();
            failed
                .map(move |error| cannot_go_on(&format!("worker-{at}"), error.into()))
                .boxed()
        });
        select_all([master].into_iter().chain(auxiliaries).chain(workers)).await.0
    }

    /// Stops workers and auxiliaries, then the master with the control store they leave through.
    pub(super) async fn stop(self) {
        join_all(self.workers.into_iter().map(worker::Handle::stop)).await;
        join_all(self.auxiliaries.into_iter().map(auxiliary::Handle::stop)).await;
        self.master.stop().await;
    }
}

fn cannot_go_on(name: &str, error: anyhow::Error) -> anyhow::Error {
    error.context(format!("{name} cannot go on"))
}
