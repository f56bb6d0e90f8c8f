//! Certificates of the cluster, and the encrypted connections between its nodes.

mod configs;
mod public;

pub use configs::backend_of_plain_clients;
pub use public::client_of_public_servers;
