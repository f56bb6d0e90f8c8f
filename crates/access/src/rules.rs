//! The one table: what each route of the public listener wants of who calls it. A route that is not in it is not answered, a test
//! walks all routes that there are, and `docs/security.md` shows the same.

use crate::{Action, Caller, Denied, Resource};

/// What a route wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Open,
    /// The token of the cluster's nodes, which is nobody's key.
    OfCluster,
    /// Anybody who is known.
    Known,
    /// Leave to do this in the namespace of the request (`?ns=`, `X-Namespace`), or in all of them if it asks for all.
    Within(Resource, Action),
    /// The same, and more by what stands in its body, which is checked when that is read.
    Beyond(Resource, Action),
    /// Leave to do this in all namespaces: what it is about has none.
    Across(Resource, Action),
}

impl Rule {
    /// Whether a known caller may, in the namespace of the request; none stands for all.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(self, caller: &Caller, namespace: Option<&str>) -> Result<(), Denied> {
        match (self, namespace) {
            (Self::Open | Self::OfCluster | Self::Known, _) => Ok(()),
            (Self::Within(resource, action) | Self::Beyond(resource, action), Some(namespace)) => {
                caller.check(resource, action, namespace)
            }
            (Self::Within(resource, action) | Self::Beyond(resource, action) | Self::Across(resource, action), _) => {
                caller.check_everywhere(resource, action)
            }
        }
    }

    /// Whether the namespace matters.
    #[must_use]
    pub const fn is_within(self) -> bool {
        matches!(self, Self::Within(..) | Self::Beyond(..))
    }

    /// In a few words, for documents.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Open => "nothing".to_owned(),
            Self::OfCluster => "the cluster token".to_owned(),
            Self::Known => "to be known".to_owned(),
            Self::Within(resource, action) => format!("{action} {resource} in the namespace"),
            Self::Across(resource, action) => format!("{action} {resource} in all namespaces"),
            Self::Beyond(resource, action) => format!("{action} {resource} in the namespace, and more by its body"),
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Method.
    pub method: &'static str,
    /// Path as it is routed; OpenAPI writes `{*file}` as `{file}`.
    pub path: &'static str,
    /// What it wants.
    pub rule: Rule,
}

impl Row {
    /// Whether it changes keys, members, backups or nodes, or takes all of the control store away, and so goes into the audit log.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        match self.rule {
            Rule::OfCluster => true,
            Rule::Across(_, Action::Operate | Action::Administer) => self.method != "GET" || self.path == "/cluster/snapshot",
            _ => false,
        }
    }
}

/// What there is for a method and a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A rule.
    Row(&'static Row),
    /// The path, but not with this method.
    OtherMethod,
    /// Nothing.
    Nothing,
}

/// Looks a route up. `HEAD` is a `GET` whose body is not sent, where it is not a route of its own.
#[must_use]
pub fn find(method: &str, path: &str) -> Found {
    let mut found = Found::Nothing;
    for row in RULES {
        if row.path != path {
            continue;
        }
        if row.method == method {
            return Found::Row(row);
        }
        match found {
            _ if method == "HEAD" && row.method == "GET" => found = Found::Row(row),
            Found::Nothing => found = Found::OtherMethod,
            _ => {}
        }
    }
    found
}

const fn row(method: &'static str, path: &'static str, rule: Rule) -> Row {
    Row { method, path, rule }
}

use Action::{Administer, Operate, Read, Run, Write};
use Resource::{Cache, Cluster, Datasets, Jobs, Kv};
use Rule::{Across, Beyond, Known, OfCluster, Open, Within};

/// All of it; what is asked most stands first.
pub const RULES: &[Row] = &[
    row("GET", "/cache/{key}", Within(Cache, Read)),
    row("PUT", "/cache/{key}", Within(Cache, Write)),
    row("HEAD", "/cache/{key}", Within(Cache, Read)),
    row("DELETE", "/cache/{key}", Within(Cache, Write)),
    row("GET", "/cache/", Within(Cache, Read)),
    row("PUT", "/cache/", Within(Cache, Write)),
    row("DELETE", "/cache/", Within(Cache, Write)),
    row("GET", "/cache", Within(Cache, Read)),
    row("PUT", "/cache", Within(Cache, Write)),
    row("DELETE", "/cache", Within(Cache, Write)),
    row("POST", "/cache/_incr", Within(Cache, Write)),
    row("POST", "/cache/_touch", Within(Cache, Write)),
    row("POST", "/cache/_delete", Within(Cache, Write)),
    // And to write, when one of its operations does.
    row("POST", "/cache/_batch", Beyond(Cache, Read)),
    row("GET", "/events", Within(Cache, Read)),
    row("GET", "/kv/{key}", Within(Kv, Read)),
    row("PUT", "/kv/{key}", Within(Kv, Write)),
    row("DELETE", "/kv/{key}", Within(Kv, Write)),
    row("GET", "/kv", Within(Kv, Read)),
    row("GET", "/kv/_watch", Within(Kv, Read)),
    row("POST", "/kv/_txn", Within(Kv, Write)),
    // And to read the tables that it names, and to write its output.
    row("POST", "/jobs", Beyond(Jobs, Run)),
    row("GET", "/jobs", Within(Jobs, Read)),
    row("GET", "/jobs/{id}", Within(Jobs, Read)),
    row("DELETE", "/jobs/{id}", Within(Jobs, Run)),
    row("GET", "/jobs/{id}/result", Within(Jobs, Read)),
    row("GET", "/jobs/{id}/events", Within(Jobs, Read)),
    row("GET", "/jobs/{id}/plan", Within(Jobs, Read)),
    row("GET", "/jobs/{id}/tasks", Within(Jobs, Read)),
    row("GET", "/datasets", Within(Datasets, Read)),
    row("GET", "/datasets/{name}", Within(Datasets, Read)),
    row("DELETE", "/datasets/{name}", Within(Datasets, Write)),
    row("GET", "/datasets/{name}/{*file}", Within(Datasets, Read)),
    row("PUT", "/datasets/{name}/{*file}", Within(Datasets, Write)),
    row("DELETE", "/datasets/{name}/{*file}", Within(Datasets, Write)),
    // They tell of all namespaces, and so of their names.
    row("GET", "/namespaces", Across(Cluster, Read)),
    row("GET", "/namespaces/{ns}", Across(Cluster, Read)),
    row("PUT", "/namespaces/{ns}", Across(Cluster, Operate)),
    row("DELETE", "/namespaces/{ns}", Across(Cluster, Operate)),
    row("GET", "/nodes", Across(Cluster, Read)),
    row("POST", "/nodes/{id}/drain", Across(Cluster, Operate)),
    row("GET", "/ring", Across(Cluster, Read)),
    row("POST", "/rebalance", Across(Cluster, Operate)),
    row("GET", "/backups", Across(Cluster, Read)),
    row("POST", "/backup", Across(Cluster, Operate)),
    row("POST", "/restore", Across(Cluster, Operate)),
    row("GET", "/cluster/members", Across(Cluster, Read)),
    row("GET", "/cluster/status", Across(Cluster, Read)),
    row("DELETE", "/cluster/members/{name}", Across(Cluster, Operate)),
    row("POST", "/cluster/transfer-leader", Across(Cluster, Operate)),
    // Everybody's keys and values, and the hashes of API keys.
    row("GET", "/cluster/snapshot", Across(Cluster, Administer)),
    row("POST", "/cluster/join", OfCluster),
    row("POST", "/auth/init", OfCluster),
    row("POST", "/auth/keys", Across(Cluster, Administer)),
    row("GET", "/auth/keys", Across(Cluster, Administer)),
    row("GET", "/auth/keys/{id}", Across(Cluster, Administer)),
    row("DELETE", "/auth/keys/{id}", Across(Cluster, Administer)),
    row("POST", "/auth/keys/{id}/rotate", Across(Cluster, Administer)),
    row("GET", "/auth/whoami", Known),
    row("GET", "/metrics", Across(Cluster, Read)),
    // Load balancers ask these, and they say nothing else.
    row("GET", "/health", Open),
    row("GET", "/ready", Open),
    row("GET", "/openapi.json", Open),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(method: &str, path: &str) -> Option<Rule> {
        match find(method, path) {
            Found::Row(row) => Some(row.rule),
            _ => None,
        }
    }

    #[test]
    fn routes_are_found_by_method_and_path() {
        assert_eq!(rule("PUT", "/cache/{key}"), Some(Within(Cache, Write)));
        assert_eq!(rule("HEAD", "/jobs/{id}/result"), Some(Within(Jobs, Read)), "HEAD is GET");
        assert_eq!(find("PATCH", "/cache/{key}"), Found::OtherMethod);
        assert_eq!(find("HEAD", "/backup"), Found::OtherMethod);
        assert_eq!(find("GET", "/elsewhere"), Found::Nothing);
    }

    #[test]
    fn no_route_has_two_rules() {
        for (at, row) in RULES.iter().enumerate() {
            let again = RULES[at + 1..]
                .iter()
                .any(|other| (other.method, other.path) == (row.method, row.path));
            assert!(!again, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn what_changes_something_wants_more_than_reading() {
        for row in RULES.iter().filter(|row| !matches!(row.method, "GET" | "HEAD")) {
            let reads = matches!(row.rule, Within(_, Read) | Across(_, Read) | Open | Known);
            assert!(!reads, "{} {}", row.method, row.path);
        }
        let open: Vec<&str> = RULES.iter().filter(|row| row.rule == Open).map(|row| row.path).collect();
        assert_eq!(open, ["/health", "/ready", "/openapi.json"]);
    }

    #[test]
    fn changes_of_keys_members_and_backups_are_audited() {
        let audited = |method: &str, path: &str| match find(method, path) {
            Found::Row(row) => row.is_audited(),
            _ => panic!("{path}"),
        };
        for (method, path) in [
            ("POST", "/auth/keys"),
            ("DELETE", "/auth/keys/{id}"),
            ("POST", "/auth/init"),
            ("POST", "/cluster/join"),
            ("GET", "/cluster/snapshot"),
            ("POST", "/restore"),
            ("POST", "/nodes/{id}/drain"),
        ] {
            assert!(audited(method, path), "{method} {path}");
        }
        assert!(!audited("GET", "/auth/keys") && !audited("PUT", "/cache/{key}") && !audited("GET", "/nodes"));
    }
}
