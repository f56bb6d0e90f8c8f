//! A way from one address to another: for those who cannot reach this machine's loopback, and to be cut.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Bytes that are handed on at once.
const PIECE: usize = 16 << 10;

/// Hands every connection on, until it is dropped. While it is cut nothing comes through, in silence: connections stay open,
/// and what was sent arrives when it is joined again, as over a network whose packets are lost for a while.
#[derive(Debug)]
pub(crate) struct Relay {
    address: String,
    cut: watch::Sender<bool>,
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
        let (cut, cuts) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                ways.spawn(hand_on(caller, to.clone(), cuts.clone()));
                while ways.try_join_next().is_some() {}
            }
        });
        Self { address, cut, task }
    }

    /// `host:port` where it listens.
    #[must_use]
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing comes through, either way.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Lets through what comes, and what came meanwhile.
    pub(crate) fn join(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, both ways. One that breaks on one side breaks on the other.
async fn hand_on(caller: TcpStream, to: String, mut cut: watch::Receiver<bool>) {
    if cut.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(called) = TcpStream::connect(&to).await else {
        return;
    };
    caller.set_nodelay(true).ok();
    called.set_nodelay(true).ok();
    let (from_caller, to_caller) = caller.into_split();
    let (from_called, to_called) = called.into_split();
    tokio::try_join!(pump(from_caller, to_called, cut.clone()), pump(from_called, to_caller, cut)).ok();
}

/// One direction, to its end; an end is handed on too.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        cut.wait_for(|cut| !cut).await.map_err(std::io::Error::other)?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn nothing_comes_through_while_it_is_cut_and_all_of_it_afterwards() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = caller.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        let relay = Relay::start("127.0.0.1", to).await;
        let mut old = TcpStream::connect(relay.address()).await.unwrap();
        let mut answer = [0; 3];
        old.write_all(b"one").await.unwrap();
        old.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"one");

        relay.cut();
        let mut new = TcpStream::connect(relay.address()).await.unwrap();
        for connection in [&mut old, &mut new] {
            connection.write_all(b"two").await.unwrap();
            let heard = timeout(Duration::from_millis(200), connection.read_exact(&mut answer)).await;
            assert!(heard.is_err(), "{heard:?}");
        }
        relay.join();
        for connection in [&mut old, &mut new] {
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"two");
            // An end is handed on, both ways.
            connection.shutdown().await.unwrap();
            assert_eq!(connection.read(&mut answer).await.unwrap(), 0);
        }
    }
}
