//! The endpoints of jobs on a real control store, with a worker that computes nothing.

mod inputs;
mod life;
mod stack;
mod terms;
mod worker;
