//! What this node answers to other masters.

mod endpoint;
mod protocol;
mod receive;
mod routes;

pub(crate) use endpoint::{Endpoint, wiped};
pub(crate) use routes::{Router, router};
