//! Names of the headers that are ours.

/// Identity of a request, in and out, and in every log line about it.
pub const REQUEST_ID: &str = "x-request-id";
/// A request's place in its trace (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";
/// What calls in frames may carry besides what they always do; both sides of a connection say it when it begins.
pub const FRAME_FIELDS: &str = "x-frame-fields";
/// `HIT` or `STALE` on cache reads.
pub const CACHE: &str = "x-cache";
/// `granted` when the caller of a `load` is the one who loads the entry.
pub const CACHE_LOAD: &str = "x-cache-load";
/// Seconds for which a cache entry is still fresh.
pub const CACHE_TTL: &str = "x-cache-ttl";
/// The auxiliary that answered a cache read.
pub const CACHE_NODE: &str = "x-cache-node";
/// Namespace of a cache key, when `?ns=` is absent.
pub const NAMESPACE: &str = "x-namespace";
/// API key of a client, instead of `Authorization: Bearer`.
pub const API_KEY: &str = "x-api-key";
/// Shared secret of peers, on private ports only.
pub const CLUSTER_TOKEN: &str = "x-cluster-token";
/// Ring epoch the caller routed by.
pub const RING_EPOCH: &str = "x-ring-epoch";
/// Boot id of the process the caller means to reach.
pub const BOOT_ID: &str = "x-boot-id";
/// What time the caller has, in Unix milliseconds, when it opens a connection of frames.
pub const TIME: &str = "x-time-ms";
