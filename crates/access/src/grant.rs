//! What somebody was given: a role, in some namespaces, on some resources. People write it `writer:team-*:cache,kv`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Action, Pattern, Resource, Resources, Role};

/// Longest text of a grant.
const MAX_BYTES: usize = 1024;

/// A role in namespaces on resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    role: Role,
    namespaces: Vec<Pattern>,
    resources: Resources,
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no grant: {reason}")]
pub struct InvalidGrant {
    text: String,
    reason: String,
}

impl Grant {
    /// Everything.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            role: Role::Admin,
            namespaces: vec![Pattern::All],
            resources: Resources::ALL,
        }
    }

    const fn allows_somewhere(&self, resource: Resource, action: Action) -> bool {
        self.resources.contains(resource) && self.role.allows(resource, action)
    }

    /// Whether it allows this in a namespace.
    #[must_use]
    pub fn allows(&self, resource: Resource, action: Action, namespace: &str) -> bool {
        self.allows_somewhere(resource, action) && self.namespaces.iter().any(|pattern| pattern.matches(namespace))
    }

    /// Whether it allows this in all namespaces.
    #[must_use]
    pub fn allows_everywhere(&self, resource: Resource, action: Action) -> bool {
        self.allows_somewhere(resource, action) && self.namespaces.contains(&Pattern::All)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it has {} bytes; at most {MAX_BYTES} are allowed", text.len()));
        }
        let (role, rest) = text.split_once(':').map_or((text, None), |(role, rest)| (role, Some(rest)));
        let role: Role = role
            .parse()
            .map_err(|()| "the role is reader, writer, jobs, operator or admin".to_owned())?;
        let (namespaces, resources) = match (rest.map(|rest| rest.rsplit_once(':')), role) {
            (None, Role::Admin) => ("*", "*"),
            (None, Role::Operator) => ("*", Resource::Cluster.as_str()),
            (Some(Some(parts)), _) => parts,
            (None | Some(None), _) => return Err("write role:namespaces:resources, as in writer:team-*:cache,kv".to_owned()),
        };
        let namespaces: Result<Vec<Pattern>, _> = namespaces.split(',').map(str::parse).collect();
        let named = if resources == "*" { Resources::ALL } else { some(resources)? };
        let allowed = |resource: &Resource| Action::ALL.into_iter().any(|action| role.allows(*resource, action));
        // Of `*` that which the role has to do with; what is named and can never be allowed is a mistake.
        let useless = named.iter().find(|resource| !allowed(resource));
        if let Some(resource) = useless.filter(|_| resources != "*") {
            return Err(format!("{role} allows nothing on {resource}"));
        }
        Ok(Self {
            role,
            namespaces: namespaces.map_err(|error| error.to_string())?,
            resources: named,
        })
    }
}

fn some(text: &str) -> Result<Resources, String> {
    text.split(',').try_fold(Resources::default(), |all, name| {
        let resource = name
            .parse()
            .map_err(|()| format!("{name:?} is no resource: write some of cache, kv, jobs, datasets, cluster, or *"))?;
        Ok(all.with(resource))
    })
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        Self::parse(text).map_err(|reason| InvalidGrant {
            text: text.chars().take(200).collect(),
            reason,
        })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.role)?;
        for (at, pattern) in self.namespaces.iter().enumerate() {
            write!(f, "{}{pattern}", if at == 0 { "" } else { "," })?;
        }
        if self.resources == Resources::ALL {
            return f.write_str(":*");
        }
        for (at, resource) in self.resources.iter().enumerate() {
            write!(f, "{}{resource}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_allow_what_they_say() {
        let grant: Grant = "writer:team-*,_default:cache,kv".parse().unwrap();
        assert_eq!(grant.to_string(), "writer:team-*,_default:cache,kv");
        for (allowed, resource, action, namespace) in [
            (true, Resource::Cache, Action::Write, "team-a"),
            (true, Resource::Kv, Action::Read, ""),
            (false, Resource::Cache, Action::Write, "other"),
            (false, Resource::Datasets, Action::Read, "team-a"),
            (false, Resource::Cache, Action::Operate, "team-a"),
        ] {
            assert_eq!(
                grant.allows(resource, action, namespace),
                allowed,
                "{resource} {action} {namespace:?}"
            );
        }
        assert!(!grant.allows_everywhere(Resource::Cache, Action::Read));
        assert!(
            "reader:a,*:cache"
                .parse::<Grant>()
                .unwrap()
                .allows_everywhere(Resource::Cache, Action::Read)
        );
    }

    #[test]
    fn short_forms_are_those_that_cannot_be_misunderstood() {
        assert_eq!("admin".parse(), Ok(Grant::admin()));
        assert_eq!("operator".parse::<Grant>().unwrap().to_string(), "operator:*:cluster");
        assert_eq!("admin:*:*".parse(), Ok(Grant::admin()));
        // A namespace may have a colon.
        assert!(
            "reader:a:b:cache"
                .parse::<Grant>()
                .unwrap()
                .allows(Resource::Cache, Action::Read, "a:b")
        );
    }

    #[test]
    fn wrong_grants_say_why() {
        for (wrong, said) in [
            ("", "the role is"),
            ("root", "the role is"),
            ("Writer:*:*", "the role is"),
            ("writer", "role:namespaces:resources"),
            ("writer:*", "role:namespaces:resources"),
            ("writer::cache", "names no namespaces"),
            ("writer:a/b:cache", "names no namespaces"),
            ("writer:*:", "is no resource"),
            ("writer:*:cache,", "is no resource"),
            ("operator:*:cache", "operator allows nothing on cache"),
            ("jobs:*:jobs,cluster", "jobs allows nothing on cluster"),
        ] {
            let error = wrong.parse::<Grant>().unwrap_err().to_string();
            assert!(error.contains(said), "{wrong:?}: {error}");
        }
    }
}
