//! Named tasks that keep things as they should be. The node supervises them: see `start`.

mod audit;
mod backups;
mod events;
pub(crate) mod ready;
mod scheduler;
