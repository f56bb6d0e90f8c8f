//! Certificates of the cluster, and the encrypted connections between its nodes.

mod configs;

pub use configs::backend_of_plain_clients;
