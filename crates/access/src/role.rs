//! What there is to be done, and which role may do it: the small table under the large one.

use std::fmt;
use std::str::FromStr;

/// What a grant allows, on the resources it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Reader,
    /// Looks and changes.
    Writer,
    /// Looks, and runs jobs.
    Jobs,
    /// Keeps the cluster going; sees nobody's data.
    Operator,
    /// Everything.
    Admin,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Entries of the cache, and what happens to them.
    Cache,
    /// Keys of the strongly consistent store.
    Kv,
    /// Jobs, their results and events.
    Jobs,
    /// Datasets.
    Datasets,
    /// Nodes, ring, metrics, backups, members, keys.
    Cluster,
}

/// What is to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Look at it.
    Read,
    /// Change it.
    Write,
    /// Run and cancel jobs.
    Run,
    /// Back up, restore, drain, rebalance, change members and quotas.
    Operate,
    /// Make and revoke keys, and take all of the control store away as a file.
    Administer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Reader, Self::Writer, Self::Jobs, Self::Operator, Self::Admin];

    /// Whether it allows this. What is not written here is denied.
    #[must_use]
    pub const fn allows(self, resource: Resource, action: Action) -> bool {
        use Action::{Operate, Read, Run, Write};
        use Resource::{Cluster, Jobs};
        match (self, resource, action) {
            (Self::Admin, ..) | (Self::Reader | Self::Writer, _, Read) => true,
            (Self::Writer, Cluster | Jobs, Write) => false,
            (Self::Writer, _, Write) => true,
            (Self::Jobs, Cluster, _) => false,
            (Self::Jobs, _, Read) | (Self::Jobs, Jobs, Run) => true,
            (Self::Operator, Cluster, Read | Operate) => true,
            _ => false,
        }
    }

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Jobs => "jobs",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cache, Self::Kv, Self::Jobs, Self::Datasets, Self::Cluster];

    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Kv => "kv",
            Self::Jobs => "jobs",
            Self::Datasets => "datasets",
            Self::Cluster => "cluster",
        }
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Run, Self::Operate, Self::Administer];

    /// As a verb.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Run => "run",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    /// The least of the roles that allow it.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::Write => Role::Writer,
            Self::Run => Role::Jobs,
            Self::Operate => Role::Operator,
            Self::Administer => Role::Admin,
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

impl FromStr for Resource {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources(u8);

impl Resources {
    /// Every one.
    pub const ALL: Self = Self((1 << Resource::ALL.len()) - 1);

    /// With one more.
    #[must_use]
    pub const fn with(self, resource: Resource) -> Self {
        Self(self.0 | 1 << resource as u8)
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn contains(self, resource: Resource) -> bool {
        self.0 & (1 << resource as u8) != 0
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Resource> {
        Resource::ALL.into_iter().filter(move |resource| self.contains(*resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_allows_what_the_documents_say_and_no_more() {
        // Actions of reader, writer, jobs, operator, admin on each resource; r, w, x (run), o, a.
        let table = [
            (Resource::Cache, ["r", "rw", "r", "", "rwxoa"]),
            (Resource::Kv, ["r", "rw", "r", "", "rwxoa"]),
            (Resource::Jobs, ["r", "r", "rx", "", "rwxoa"]),
            (Resource::Datasets, ["r", "rw", "r", "", "rwxoa"]),
            (Resource::Cluster, ["r", "r", "", "ro", "rwxoa"]),
        ];
        for (resource, cells) in table {
            for (role, cell) in Role::ALL.into_iter().zip(cells) {
                let allowed = Action::ALL.into_iter().zip("rwxoa".chars());
                let allowed: String = allowed
                    .filter(|(action, _)| role.allows(resource, *action))
                    .map(|(_, letter)| letter)
                    .collect();
                assert_eq!(allowed, cell, "{role} on {resource}");
            }
        }
    }

    #[test]
    fn names_come_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        for resource in Resource::ALL {
            assert_eq!(resource.as_str().parse(), Ok(resource));
            assert!(Resources::ALL.contains(resource));
            assert_eq!(Resources::default().with(resource).iter().collect::<Vec<_>>(), [resource]);
        }
        assert_eq!("root".parse::<Role>(), Err(()));
    }
}
