//! Certificates of the cluster, and the encrypted connections between its nodes.
//!
//! What stays true:
//! - nodes show certificates to each other, and each looks at the other's: its authority, its time, and for servers its name;
//! - renewed files are taken without a restart, and broken ones leave the old in use;
//! - a connection ends when its peer would not be let in any more, also when it was let in;
//! - the cryptography is named where it is used: nothing is installed for the whole process.

mod acceptor;
mod authority;
mod complaints;
mod configs;
mod error;
mod facts;
mod figures;
mod files;
mod identity;
mod outside;
mod public;
mod refused;
mod reloading;
mod standing;
#[cfg(feature = "testing")]
pub mod testing;

pub use acceptor::{Acceptor, Clients};
pub use authority::{Authority, Issued, Purpose, Request};
pub use configs::backend_of_plain_clients;
pub use error::Error;
pub use facts::Facts;
pub use figures::Figures;
pub use files::Files;
pub use identity::Identity;
pub use outside::client_of;
pub use public::client_of_public_servers;
pub use refused::was_refused;
pub use reloading::Tls;
pub use rustls::ClientConfig;
pub use standing::{Ended, Standing};
pub use tokio_rustls::TlsStream;
