//! How the ring changes: the rules one by one, and all of them under random sequences of events.

mod complaints;
mod deaths;
mod forgotten;
mod invariants;
mod leader;
mod random;
mod restarts;
mod share;
mod stage;
mod wishes;
mod world;
