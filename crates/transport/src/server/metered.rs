//! A connection's stream, watched for clients that keep it waiting: headers that trickle in, answers that nobody takes.
//!
//! Bodies of requests are not its matter: they have the request's deadline, and uploads a pace of their own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::{Connection, Connections};

/// A watched stream.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    connection: Arc<Connection>,
    of: Arc<Connections>,
    /// Made when there is nothing to read and something is due: most requests come whole, and need none.
    reading: Option<Pin<Box<Sleep>>>,
    /// The phase's patience that `reading` was made for.
    reading_for: Duration,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>, of: Arc<Connections>) -> Self {
        Self {
            stream,
            connection,
            of,
            reading: None,
            reading_for: Duration::ZERO,
            writing: None,
        }
    }

    /// The stream, watched no more.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// Fails when what is due has not come in time.
    fn due(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(patience) = self.connection.patience(&self.of.bounds) else {
            self.reading = None;
            return Ok(());
        };
        let timer = self.reading.get_or_insert_with(|| {
            self.reading_for = patience;
            Box::pin(sleep_until(Instant::now() + patience))
        });
        if self.reading_for != patience {
            self.reading_for = patience;
            let deadline = timer.deadline().min(Instant::now() + patience);
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.of.count("slow_request");
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not send its request",
        ))
    }

    /// Fails when the client has not taken anything for too long.
    fn taken<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.writing.take().is_some() {
                self.connection.stalls(false);
            }
            return written;
        }
        let Some(stall) = self.of.bounds.stall else { return written };
        let connection = &self.connection;
        let timer = self.writing.get_or_insert_with(|| {
            connection.stalls(true);
            Box::pin(sleep_until(Instant::now() + stall))
        });
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.of.count("slow_reader");
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not take its answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, into) {
            Poll::Pending => match self.due(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            read => {
                if into.filled().len() > before && self.connection.heard() {
                    // What is left of the time of an earlier request.
                    self.reading = None;
                }
                read
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.taken(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.taken(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.taken(shut, context)
    }
}
