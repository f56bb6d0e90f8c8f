//! Taking a port.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error("port {} is taken: stop what listens there, or choose another with {setting}", .address.port())]
    Taken {
        /// The address.
        address: SocketAddr,
        /// The setting that chooses it.
        setting: &'static str,
    },
    /// Anything else the system says.
    #[error("cannot listen on {address} (set by {setting})")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The setting that chooses it.
        setting: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Listens on an address; port 0 takes any free one. `setting` is named in the error.
///
/// # Errors
/// When the port is taken or may not be used.
pub async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { address, setting },
        _ => BindError::Other {
            address,
            setting,
            source,
        },
    })
}
