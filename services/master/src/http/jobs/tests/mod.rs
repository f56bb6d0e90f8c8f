//! The endpoints of jobs on a real control store, with a worker that computes nothing.

mod datasets;
mod durable;
mod inputs;
mod life;
mod rules;
mod stack;
mod terms;
mod views;
mod worker;
