//! Certificates on disk, and handshakes over loopback connections.

mod handshakes;
mod identities;
mod reloads;
mod town;
