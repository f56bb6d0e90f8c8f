//! Nodes that do no work: they answer the questions that the leader and other nodes ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::cache::{MasterStatus, NodeStatus};
use api::member::{Member, Role};
use api::{BootId, NodeId};
use cluster::{LEASE_TTL, Registration, View};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Fake, auxiliary, node, registry};

/// What can be changed about a peer while it runs.
#[derive(Debug, Default)]
pub(crate) struct Manners {
    /// It takes connections and answers nothing.
    pub(crate) hangs: AtomicBool,
    /// It says that it holds all it must.
    pub(crate) lags: AtomicBool,
    /// Whom it cannot reach, as it says.
    pub(crate) unreachable: Mutex<Vec<NodeId>>,
}

/// A registered node that follows the ring; ends with a crash when dropped: its lease stays.
pub(crate) struct Peer {
    pub(crate) member: Member,
    pub(crate) manners: Arc<Manners>,
    store: Arc<Fake>,
    stop: CancellationToken,
    leave: CancellationToken,
    _guard: DropGuard,
}

impl Peer {
    pub(crate) async fn auxiliary(store: &Arc<Fake>, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        Self::start(store, listener, auxiliary(name, &address)).await
    }

    pub(crate) async fn master(store: &Arc<Fake>, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let role = Role::Master;
        Self::start(
            store,
            listener,
            Member {
                role,
                ..auxiliary(name, &address)
            },
        )
        .await
    }

    /// Crashes, and begins anew where it was.
    pub(crate) async fn restart(self) -> Self {
        let (store, address) = (Arc::clone(&self.store), self.member.address.clone());
        let member = Member {
            boot_id: BootId::new_random(),
            ..self.member.clone()
        };
        drop(self);
        let listener = loop {
            match TcpListener::bind(&address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        Self::start(&store, listener, member).await
    }

    /// Its lease ends.
    pub(crate) fn leave(&self) {
        self.leave.cancel();
    }

    async fn start(store: &Arc<Fake>, listener: TcpListener, member: Member) -> Self {
        let (stop, leave, manners) = (
            CancellationToken::new(),
            CancellationToken::new(),
            Arc::new(Manners::default()),
        );
        let view = Arc::new(View::new(store.another(), &registry()));
        let (running, stopped) = (Arc::clone(&view), stop.clone());
        tokio::spawn(async move { running.run(stopped).await });
        let (id, boot_id, role) = (member.id.clone(), member.boot_id, member.role);
        let (stopped, how) = (stop.clone(), Arc::clone(&manners));
        let answer = move || match role {
            Role::Master => json(&MasterStatus {
                epoch: view.load().epoch(),
                unreachable: how.unreachable.lock().clone(),
                ..MasterStatus::default()
            }),
            _ => json(&NodeStatus {
                boot_id,
                epoch: view.load().epoch(),
                synced: !how.lags.load(Ordering::SeqCst),
                entries: 0,
                bytes: 0,
                sync: None,
                restored: None,
                last_backup_ms: None,
                unreachable: how.unreachable.lock().clone(),
            }),
        };
        let how = Arc::clone(&manners);
        tokio::spawn(async move {
            loop {
                let connection = tokio::select! {
                    accepted = listener.accept() => accepted.expect("accept").0,
                    () = stopped.cancelled() => return,
                };
                let (stopped, how, answer) = (stopped.clone(), Arc::clone(&how), answer.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(connection, &how, answer) => {}
                        () = stopped.cancelled() => {}
                    }
                });
            }
        });
        let registration = Registration::register(store.another(), member.clone(), LEASE_TTL).await;
        let registration = registration.unwrap_or_else(|error| panic!("{id}: {error}"));
        let (stopped, left) = (stop.clone(), leave.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = registration.keep(left) => {}
                () = stopped.cancelled() => {}
            }
        });
        Self {
            member,
            manners,
            store: Arc::clone(store),
            _guard: stop.clone().drop_guard(),
            stop,
            leave,
        }
    }

    pub(crate) fn hang(&self, hangs: bool) {
        self.manners.hangs.store(hangs, Ordering::SeqCst);
    }

    pub(crate) fn lag(&self, lags: bool) {
        self.manners.lags.store(lags, Ordering::SeqCst);
    }

    pub(crate) fn complain_of(&self, names: &[&str]) {
        *self.manners.unreachable.lock() = names.iter().map(|name| node(name)).collect();
    }

    pub(crate) fn kill(&self) {
        self.stop.cancel();
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// One request and one answer, of whatever kind.
async fn serve(mut connection: TcpStream, manners: &Manners, answer: impl Fn() -> String) {
    let _ = connection.read(&mut [0; 4096]).await;
    if manners.hangs.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let body = answer();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all((head + &body).as_bytes()).await;
    let _ = connection.shutdown().await;
}
