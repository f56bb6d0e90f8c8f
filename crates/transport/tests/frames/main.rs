//! Calls in frames between real sockets: with the real server, and with peers that misbehave.

mod calls;
mod ends;
mod failures;
mod support;
mod traces;
