//! Somebody who asks, once it is known who it is.

use std::fmt;

use crate::{Action, DEFAULT_NAMESPACE, Grant, Resource};

/// How a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By an API key.
    Key,
    /// By a JSON Web Token.
    Token,
    /// By the root key of the settings.
    Root,
    /// Not at all: authentication is off.
    Anonymous,
}

impl Kind {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Token => "token",
            Self::Root => "root",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who asks, and what they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Of keys their id, of tokens their subject; nothing secret.
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// How they are known.
    pub kind: Kind,
    /// What they were given.
    pub grants: Vec<Grant>,
    /// When that ends, Unix milliseconds.
    pub expires_at_ms: Option<u64>,
}

/// Where something was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this namespace; empty is the default one.
    Namespace(Box<str>),
    /// In all.
    Everywhere,
}

/// What was asked for and is not allowed: one sentence with the grant that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// By whom.
    pub who: Box<str>,
    /// What.
    pub resource: Resource,
    /// What with it.
    pub action: Action,
    /// Where.
    pub place: Place,
}

impl Caller {
    /// Everybody, while authentication is off.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::almighty("anonymous", Kind::Anonymous)
    }

    /// Who has the root key.
    #[must_use]
    pub fn root() -> Self {
        Self::almighty("root", Kind::Root)
    }

    fn almighty(name: &str, kind: Kind) -> Self {
        Self {
            id: name.into(),
            name: name.into(),
            kind,
            grants: vec![Grant::admin()],
            expires_at_ms: None,
        }
    }

    /// Whether they may do this in a namespace.
    #[must_use]
    pub fn may(&self, resource: Resource, action: Action, namespace: &str) -> bool {
        self.grants.iter().any(|grant| grant.allows(resource, action, namespace))
    }

    /// Whether they may do this in all namespaces.
    #[must_use]
    pub fn may_everywhere(&self, resource: Resource, action: Action) -> bool {
        self.grants.iter().any(|grant| grant.allows_everywhere(resource, action))
    }

    /// [`Caller::may`], with what is missing.
    ///
    /// # Errors
    /// When they may not.
    pub fn check(&self, resource: Resource, action: Action, namespace: &str) -> Result<(), Denied> {
        if self.may(resource, action, namespace) {
            return Ok(());
        }
        Err(self.denied(resource, action, Place::Namespace(namespace.into())))
    }

    /// [`Caller::may_everywhere`], with what is missing.
    ///
    /// # Errors
    /// When they may not.
    pub fn check_everywhere(&self, resource: Resource, action: Action) -> Result<(), Denied> {
        if self.may_everywhere(resource, action) {
            return Ok(());
        }
        Err(self.denied(resource, action, Place::Everywhere))
    }

    fn denied(&self, resource: Resource, action: Action, place: Place) -> Denied {
        Denied {
            who: self.to_string().into(),
            resource,
            action,
            place,
        }
    }
}

/// As in `key 4f2a… (ci)`; never more than who it is.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Root | Kind::Anonymous => f.write_str(self.kind.as_str()),
            Kind::Key | Kind::Token if self.name.is_empty() || self.name == self.id => {
                write!(f, "{} {}", self.kind.as_str(), self.id)
            }
            Kind::Key | Kind::Token => write!(f, "{} {} ({})", self.kind.as_str(), self.id, self.name),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            who,
            resource,
            action,
            place,
        } = self;
        let role = action.role();
        write!(f, "{who} may not {action} {resource} ")?;
        match place {
            Place::Namespace(name) => {
                let name = if name.is_empty() { DEFAULT_NAMESPACE } else { name };
                write!(
                    f,
                    "in namespace {name:?}: that wants a grant such as {role}:{name}:{resource}"
                )
            }
            Place::Everywhere => write!(f, "over all namespaces: that wants a grant such as {role}:*:{resource}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grants: &[&str]) -> Caller {
        Caller {
            id: "k1".into(),
            name: "ci".into(),
            kind: Kind::Key,
            grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            expires_at_ms: None,
        }
    }

    #[test]
    fn nothing_is_allowed_that_no_grant_allows() {
        let nobody = caller(&[]);
        for resource in Resource::ALL {
            for action in Action::ALL {
                assert!(!nobody.may(resource, action, "") && !nobody.may_everywhere(resource, action));
                assert!(Caller::root().may_everywhere(resource, action));
            }
        }
    }

    #[test]
    fn grants_add_up_but_are_not_mixed() {
        let both = caller(&["reader:a:cache", "writer:b:cache"]);
        assert!(both.may(Resource::Cache, Action::Read, "a") && both.may(Resource::Cache, Action::Write, "b"));
        assert!(!both.may(Resource::Cache, Action::Write, "a"), "writing is for b alone");
        assert!(!both.may_everywhere(Resource::Cache, Action::Read));
    }

    #[test]
    fn refusals_name_the_grant_that_is_missing() {
        let caller = caller(&["reader:a:cache"]);
        assert_eq!(
            caller.check(Resource::Kv, Action::Write, "b").unwrap_err().to_string(),
            r#"key k1 (ci) may not write kv in namespace "b": that wants a grant such as writer:b:kv"#
        );
        assert_eq!(
            caller.check(Resource::Cache, Action::Read, "").unwrap_err().to_string(),
            r#"key k1 (ci) may not read cache in namespace "_default": that wants a grant such as reader:_default:cache"#
        );
        let everywhere = caller.check_everywhere(Resource::Cluster, Action::Operate).unwrap_err();
        assert!(everywhere.to_string().ends_with("operator:*:cluster"), "{everywhere}");
    }
}
