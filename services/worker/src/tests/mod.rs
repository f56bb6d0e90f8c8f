//! Workers against a leader that is played by the test: they live in the library so that one test binary links DataFusion.

mod cluster;
mod faults;
mod work;
