//! A connection as the server and frames see it: plain or encrypted, which nothing above this file knows.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tls::{Standing, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Both directions.
#[derive(Debug)]
pub(crate) enum Connection {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP; large, hence boxed. For as long as its peer would be let in.
    Encrypted(Box<TlsStream<TcpStream>>, Standing),
}

/// What comes in.
#[derive(Debug)]
pub(crate) enum Reader {
    Plain(OwnedReadHalf),
    Encrypted(ReadHalf<Box<TlsStream<TcpStream>>>),
}

/// What goes out; written to through a shared reference, by the one task that drives the connection.
#[derive(Debug)]
pub(crate) enum Writer {
    Plain(OwnedWriteHalf),
    Encrypted(Mutex<WriteHalf<Box<TlsStream<TcpStream>>>>),
}

/// A writer takes this many of these bytes now; [`io::ErrorKind::WouldBlock`] for none.
pub(crate) type Attempt<'a> = dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize> + 'a;

impl Connection {
    /// How it stands with the peer.
    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Plain(_) => Standing::anyone(),
            Self::Encrypted(_, standing) => standing.clone(),
        }
    }

    /// Its two directions.
    pub(crate) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Plain(reader), Writer::Plain(writer))
            }
            Self::Encrypted(stream, _) => {
                let (reader, writer) = tokio::io::split(stream);
                (Reader::Encrypted(reader), Writer::Encrypted(Mutex::new(writer)))
            }
        }
    }
}

impl Writer {
    /// Writes with `write` until it says that all is written, waiting whenever the connection takes no more. What it wrote has then
    /// left this process.
    pub(crate) async fn write_all(&self, mut write: impl FnMut(&mut Attempt<'_>) -> io::Result<Written>) -> io::Result<()> {
        match self {
            Self::Plain(stream) => {
                while write(&mut |slices| stream.try_write_vectored(slices))? == Written::Blocked {
                    stream.writable().await?;
                }
                Ok(())
            }
            Self::Encrypted(stream) => {
                // Each attempt is made as the task that waits: whatever blocks wakes it.
                poll_fn(|context| {
                    let mut stream = stream.lock();
                    let mut attempt = |slices: &[IoSlice<'_>]| match Pin::new(&mut *stream).poll_write_vectored(context, slices) {
                        Poll::Ready(written) => written,
                        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                    };
                    match write(&mut attempt)? {
                        Written::Blocked => Poll::Pending,
                        // What was taken may still wait to leave, as records.
                        Written::All => Pin::new(&mut *stream).poll_flush(context),
                    }
                })
                .await
            }
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Encrypted(stream) => stream.get_mut().shutdown().await,
        }
    }
}

/// How far a write came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing waits any more.
    All,
    /// The connection takes no more now.
    Blocked,
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream, _) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream, _) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Encrypted(stream, _) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Encrypted(stream, _) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream, _) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream, _) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}
