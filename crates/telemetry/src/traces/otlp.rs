//! Spans as collectors read them: OTLP 1, in Protocol Buffers.
//!
//! The messages are those of `opentelemetry/proto/trace/v1`, as far as they are filled in here. They are stable, and few; the crates that have
//! all of them ask for features that would have the query engine built twice (ADR 0016). A test holds them against bytes that
//! OpenTelemetry's own library wrote.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::{Event, Kind, Span, Value};

/// Content type of what [`encode`] makes.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Name of what makes the spans.
const SCOPE: &str = "elasticore";
const STATUS_ERROR: i32 = 2;
/// Of a span's flags: whether its parent is of another process is known, and it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// What is sent: spans by who made them.
#[derive(Clone, PartialEq, Message)]
pub struct ExportRequest {
    /// One for each who made some.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// The answer.
#[derive(Clone, PartialEq, Message)]
pub struct ExportResponse {
    /// There when something was refused.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What was refused.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// How many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// Spans of one node.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    /// The node.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// What it made.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// Who made spans.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// `service.name` and more.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// Spans of one library.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    /// The library.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// What it made.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<SpanMessage>,
}

/// A library.
#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// A span.
#[derive(Clone, PartialEq, Message)]
pub struct SpanMessage {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// 8 bytes, or none.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// Its name.
    #[prost(string, tag = "5")]
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    #[prost(int32, tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What is known of it.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// What happened on the way.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<EventMessage>,
    /// Whether it failed.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// Those of its context, and what is known of its parent.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// An event of a span.
#[derive(Clone, PartialEq, Message)]
pub struct EventMessage {
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// What is known of it.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// In a word.
    #[prost(string, tag = "2")]
    pub message: String,
    /// 0 unknown, 1 well, 2 not.
    #[prost(int32, tag = "3")]
    pub code: i32,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// What it holds.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// What an attribute holds.
#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    /// One of several types.
    #[prost(oneof = "AnyType", tags = "1, 2, 3")]
    pub value: Option<AnyType>,
}

/// The types of attributes that are made here.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AnyType {
    /// A text.
    #[prost(string, tag = "1")]
    Text(String),
    /// Yes or no.
    #[prost(bool, tag = "2")]
    Flag(bool),
    /// A number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// A batch of spans, of a node that is told by these attributes.
#[must_use]
pub fn encode(resource: &[(&'static str, String)], version: &str, spans: &[Span]) -> Vec<u8> {
    let attributes = resource.iter().map(|(name, value)| KeyValue {
        key: (*name).to_owned(),
        value: Some(AnyValue {
            value: Some(AnyType::Text(value.clone())),
        }),
    });
    let request = ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: attributes.collect(),
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: SCOPE.to_owned(),
                    version: version.to_owned(),
                }),
                spans: spans.iter().map(message).collect(),
            }],
        }],
    };
    request.encode_to_vec()
}

/// How many spans of a batch the collector refused, by its answer. One that cannot be read refuses none: it said 200.
#[must_use]
pub fn rejected(answer: &[u8]) -> usize {
    let refused = ExportResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    refused.map_or(0, |refused| usize::try_from(refused.rejected_spans).unwrap_or(0))
}

fn message(span: &Span) -> SpanMessage {
    // Of work that is neither asked for nor answered here it is not known: the job of a task is at a master.
    let remote = match span.kind {
        Kind::Server if span.parent.is_some() => HAS_IS_REMOTE | IS_REMOTE,
        Kind::Server | Kind::Client => HAS_IS_REMOTE,
        Kind::Internal => 0,
    };
    let status = span.error.as_ref().map(|why| Status {
        message: why.clone().into_owned(),
        code: STATUS_ERROR,
    });
    let mut attributes = attributes(&span.attributes);
    attributes.extend(
        span.error
            .as_ref()
            .map(|why| attribute("error.type", &Value::Text(why.clone()))),
    );
    SpanMessage {
        trace_id: span.context.trace().to_vec(),
        span_id: span.context.span().to_vec(),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name: span.name.clone().into_owned(),
        kind: match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes,
        events: span.events.iter().map(event).collect(),
        status,
        flags: u32::from(span.context.to_bytes()[24]) | remote,
    }
}

fn event(event: &Event) -> EventMessage {
    EventMessage {
        time_unix_nano: nanoseconds(event.at),
        name: event.name.clone().into_owned(),
        attributes: attributes(&event.attributes),
    }
}

fn attributes(all: &[(&'static str, Value)]) -> Vec<KeyValue> {
    all.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => AnyType::Text(text.clone().into_owned()),
        Value::Number(number) => AnyType::Number(*number),
        Value::Flag(flag) => AnyType::Flag(*flag),
    };
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
