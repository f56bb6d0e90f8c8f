//! One entry of the audit log.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::plain;

/// Longest text of a field; the rest is cut off.
const MAX_CHARS: usize = 256;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What kind of thing: one of few names, such as `backup` or `node.joined`.
    pub event: &'static str,
    /// Who did it.
    pub actor: Actor,
    /// The address it came from.
    pub address: Option<String>,
    /// What was asked: method and route.
    pub action: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Identity of the request, the same as in all other logs.
    pub request_id: Option<String>,
    /// What else is worth knowing.
    pub details: BTreeMap<&'static str, String>,
    /// When; the moment it is recorded unless set.
    pub time: Option<SystemTime>,
}

/// Somebody who did something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    /// `key`, `token`, `anonymous`, or `node`.
    pub kind: &'static str,
    /// Identity of the key, subject of the token, name of the node; never a secret.
    pub id: Option<String>,
    /// The name somebody gave to the key.
    pub name: Option<String>,
}

impl Actor {
    /// Somebody who did not say who they are.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self {
            kind: "anonymous",
            id: None,
            name: None,
        }
    }

    /// A node of the cluster, of its own accord.
    #[must_use]
    pub fn node(id: impl Into<String>) -> Self {
        Self {
            kind: "node",
            id: Some(id.into()),
            name: None,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, and answered with this status.
    Done(u16),
    /// It was refused or failed: status, and code of the problem.
    Refused(u16, &'static str),
    /// It happened without being asked for.
    Observed,
    /// It was asked for, and nobody waited for the answer.
    Unknown,
}

/// As it stands in the file.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    node: &'a str,
    event: &'a str,
    actor: Who<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Who<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl Entry {
    /// Something that happened, without any particulars.
    #[must_use]
    pub const fn new(event: &'static str, actor: Actor, outcome: Outcome) -> Self {
        Self {
            event,
            actor,
            address: None,
            action: None,
            target: None,
            outcome,
            request_id: None,
            details: BTreeMap::new(),
            time: None,
        }
    }

    /// To whom or what.
    #[must_use]
    pub fn on(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// With something more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.insert(name, value.into());
        self
    }

    /// The line for the file, with its end.
    pub(super) fn line(&self, node: &str) -> String {
        let line = Line {
            time: humantime::format_rfc3339_millis(self.time.unwrap_or_else(SystemTime::now)).to_string(),
            node,
            event: self.event,
            actor: Who {
                kind: self.actor.kind,
                id: cut(&self.actor.id),
                name: cut(&self.actor.name),
            },
            address: cut(&self.address),
            action: cut(&self.action),
            target: cut(&self.target),
            outcome: self.outcome.code(),
            status: self.outcome.status(),
            request_id: cut(&self.request_id),
            details: self.details.iter().map(|(name, value)| (*name, bounded(value))).collect(),
        };
        // Strings and numbers: there is nothing in it that cannot be written.
        let mut line = plain::json(&serde_json::to_string(&line).unwrap_or_default());
        line.push('\n');
        line
    }

    /// Into the ordinary log, whose format escapes what needs it.
    pub(super) fn log(&self, node: &str) {
        let details: Vec<String> = self
            .details
            .iter()
            .map(|(name, value)| format!("{name}={}", bounded(value)))
            .collect();
        let details = (!details.is_empty()).then(|| details.join(" "));
        tracing::info!(
            target: "audit",
            node,
            actor = self.actor.kind,
            actor_id = cut(&self.actor.id),
            actor_name = cut(&self.actor.name),
            address = cut(&self.address),
            action = cut(&self.action),
            on = cut(&self.target),
            outcome = self.outcome.code(),
            status = self.outcome.status(),
            audited_request = cut(&self.request_id),
            details,
            "{}",
            self.event,
        );
    }
}

impl Outcome {
    const fn code(self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Refused(_, code) => code,
            Self::Observed => "observed",
            Self::Unknown => "unknown",
        }
    }

    const fn status(self) -> Option<u16> {
        match self {
            Self::Done(status) | Self::Refused(status, _) => Some(status),
            Self::Observed | Self::Unknown => None,
        }
    }
}

fn cut(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(bounded)
}

fn bounded(text: &str) -> &str {
    text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_did_what_to_whom() {
        let mut entry = Entry::new("drain", Actor::anonymous(), Outcome::Done(202)).on("auxiliary-3");
        entry.time = Some(SystemTime::UNIX_EPOCH);
        entry.address = Some("10.0.0.7".to_owned());
        entry.action = Some("POST /nodes/{id}/drain".to_owned());
        entry.request_id = Some("r-1".to_owned());
        assert_eq!(
            entry.with("epoch", "7").line("master-1"),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","node":"master-1","event":"drain","actor":{"kind":"anonymous"},"address":"10.0.0.7","#,
                r#""action":"POST /nodes/{id}/drain","target":"auxiliary-3","outcome":"done","status":202,"request_id":"r-1","details":{"epoch":"7"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn no_value_makes_a_line_of_its_own_or_is_endless() {
        let nasty = "x\"}\n{\"event\":\"forged\"}\r\u{1b}[2J\u{9b}A\u{2028}\u{202e}\u{7f}\0";
        let actor = Actor {
            kind: "key",
            id: Some(nasty.to_owned()),
            name: Some("n".repeat(5000)),
        };
        let mut entry = Entry::new("denied", actor, Outcome::Refused(403, "forbidden"))
            .on(nasty)
            .with("suppressed", nasty);
        (entry.address, entry.action, entry.request_id) = (Some(nasty.into()), Some(nasty.into()), Some(nasty.into()));
        let line = entry.line("master-1");
        let text = line.strip_suffix('\n').unwrap();
        assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text:?}");
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(read["event"], "denied");
        for value in [
            &read["actor"]["id"],
            &read["target"],
            &read["address"],
            &read["action"],
            &read["request_id"],
            &read["details"]["suppressed"],
        ] {
            assert_eq!(value, nasty);
        }
        assert_eq!(read["actor"]["name"].as_str().unwrap().len(), MAX_CHARS);
    }
}
