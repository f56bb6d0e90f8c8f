//! The signals that ask a process to stop.

use std::fmt;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Which signal asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C.
    Interrupt,
    /// `kill`, `docker stop`, Kubernetes.
    Terminate,
}

impl fmt::Display for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// When the process may not install signal handlers.
pub async fn interrupted() -> io::Result<Interrupt> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => Interrupt::Interrupt,
        _ = terminate.recv() => Interrupt::Terminate,
    })
}
