//! A way from one address to another: for those who cannot reach this machine's loopback.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Hands every connection on, until it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    address: String,
    task: JoinHandle<()>,
}

impl Relay {
    /// From any free port of `host` to `host:port`.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub(crate) async fn start(host: &str, to: String) -> Self {
        let listener = TcpListener::bind((host, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let task = tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    if let Ok(mut called) = TcpStream::connect(&to).await {
                        caller.set_nodelay(true).ok();
                        called.set_nodelay(true).ok();
                        // A connection that breaks on one side breaks on the other.
                        copy_bidirectional(&mut caller, &mut called).await.ok();
                    }
                });
            }
        });
        Self { address, task }
    }

    /// `host:port` where it listens.
    #[must_use]
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
