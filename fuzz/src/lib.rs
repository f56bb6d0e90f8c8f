//! Fuzzers of the parsers that are ours. What each does is in [`targets`], which the tests of the workspace replay the corpus with.

pub mod targets;
