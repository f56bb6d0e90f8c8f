//! The endpoints of datasets, with real auxiliaries that keep the files.

mod collection;
mod jobs;
mod refusals;
mod stack;
mod uploads;
