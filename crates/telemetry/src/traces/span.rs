//! One thing that a node did for a request.

use std::borrow::Cow;
use std::time::SystemTime;

use super::TraceContext;

/// Texts of callers that are put into a span are cut off there.
const MAX_TEXT: usize = 256;

/// On which side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Neither.
    Internal,
    /// It answered.
    Server,
    /// It asked.
    Client,
}

/// Something that was done, from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What: one of few names.
    pub name: Cow<'static, str>,
    /// On which side of a call.
    pub kind: Kind,
    /// Its place.
    pub context: TraceContext,
    /// The span it is a part of.
    pub parent: Option<[u8; 8]>,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened on the way.
    pub events: Vec<Event>,
    /// In a word why it failed, if it did.
    pub error: Option<Cow<'static, str>>,
}

/// Something that happened at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What: one of few names.
    pub name: Cow<'static, str>,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(mut text: String) -> Self {
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
        }
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl Span {
    /// A span that begins, and so far ends, now.
    #[must_use]
    pub fn begin(name: impl Into<Cow<'static, str>>, kind: Kind, context: TraceContext, parent: Option<TraceContext>) -> Self {
        let now = SystemTime::now();
        Self {
            name: name.into(),
            kind,
            context,
            parent: parent.map(TraceContext::span),
            began: now,
            ended: now,
            attributes: Vec::new(),
            events: Vec::new(),
            error: None,
        }
    }

    /// Adds what is known of it.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push((name, value.into()));
    }
}
