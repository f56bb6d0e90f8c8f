//! Which namespaces.

use std::fmt;
use std::str::FromStr;

/// How the default namespace, which has no name, is written; no other namespace begins with `_`.
pub const DEFAULT_NAMESPACE: &str = "_default";

/// Longest pattern, bytes: no namespace is longer.
const MAX_BYTES: usize = 128;

/// Some namespaces: one by its name, all that begin with something (`team-*`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// This one; empty is the default one.
    Exact(Box<str>),
    /// All that begin so. Not the default one, which has no name.
    Prefix(Box<str>),
    /// All, the default one too.
    All,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no namespaces: write a name, _default for the default one, team-* for all that begin with team-, or *")]
pub struct InvalidPattern(String);

impl Pattern {
    /// Whether a namespace is meant.
    #[must_use]
    pub fn matches(&self, namespace: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *namespace,
            Self::Prefix(prefix) => namespace.starts_with(&**prefix),
            Self::All => true,
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let plain = |name: &str| {
            let odd = |c: char| c.is_control() || matches!(c, '/' | '*' | ',');
            !name.is_empty() && name.len() <= MAX_BYTES && !name.starts_with('_') && !name.contains(odd)
        };
        match text.strip_suffix('*') {
            Some("") => Ok(Self::All),
            Some(prefix) if plain(prefix) => Ok(Self::Prefix(prefix.into())),
            None if text == DEFAULT_NAMESPACE => Ok(Self::Exact("".into())),
            None if plain(text) => Ok(Self::Exact(text.into())),
            _ => Err(InvalidPattern(text.chars().take(MAX_BYTES).collect())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) if name.is_empty() => f.write_str(DEFAULT_NAMESPACE),
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::All => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, matched, not) in [
            ("team-a", &["team-a"][..], &["team-ab", "team", "", "TEAM-A"][..]),
            ("team-*", &["team-", "team-a", "team-a-b"], &["team", "x-team-a", ""]),
            ("_default", &[""], &["_default", "default", "a"]),
            ("default", &["default"], &[""]),
            ("*", &["", "a", "team-a"], &[]),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.to_string(), pattern);
            for namespace in matched {
                assert!(parsed.matches(namespace), "{pattern} {namespace:?}");
            }
            for namespace in not {
                assert!(!parsed.matches(namespace), "{pattern} {namespace:?}");
            }
        }
    }

    #[test]
    fn nonsense_is_no_pattern() {
        for wrong in [
            "",
            "**",
            "*a",
            "a*b",
            "_x",
            "_default*",
            "a/b",
            "a\nb",
            "a,b",
            &"n".repeat(129),
        ] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong:?}");
        }
    }
}
