//! The one client peers are called with: deadline first, then retry, then breaker.

mod breaker;
mod client;
mod clocks;
mod error;
mod fetch;
mod http;
mod request;
mod response;
mod retry;
mod spans;

pub use breaker::BreakerPolicy;
pub use client::{PeerClient, PeerPolicy};
pub use error::PeerError;
pub use fetch::Fetcher;
pub use request::PeerRequest;
pub use reqwest::header::HeaderValue;
pub use reqwest::{Body, Method};
pub use response::PeerResponse;
pub use retry::Retry;
pub use spans::SpanExporter;
