//! Traces: where the time of a request went, over all nodes it passed.
//!
//! A request's identity in its trace is a [`TraceContext`]: small, copied, handed on in `traceparent` (W3C Trace Context) and in the frames
//! between nodes. What a node did for it is a [`Span`]. A [`Tracer`] decides which requests are worth one, and puts ended spans into a bounded
//! queue; whoever holds the other end, a [`SpanQueue`], sends them as OTLP ([`otlp`]). Each node owns its tracer, as it does its registry.
//!
//! What stays true:
//! - without a collector there is no tracer, and nothing but the parsing of a `traceparent` that came;
//! - nobody ever waits for a span to be taken: what does not fit is dropped, and counted;
//! - spans hold names, numbers and states. Never keys, values, SQL or what an error said: those are for logs and for their owners.

mod active;
mod context;
mod options;
pub mod otlp;
mod queue;
mod sampler;
mod span;
mod tracer;

pub use active::ActiveSpan;
pub use context::TraceContext;
pub use options::{Destination, TraceSettings};
pub use queue::{SpanCounts, SpanQueue};
pub use sampler::Sampler;
pub use span::{Event, Kind, Span, Value};
pub use tracer::Tracer;
