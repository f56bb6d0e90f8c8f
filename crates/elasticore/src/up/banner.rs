//! What `up` says when everything is ready: where the nodes are, and five commands that work as they stand.

use std::path::{Path, PathBuf};

use api::member::Role;
use serde_json::json;

use super::data::DataDir;
use super::stack::Stack;
use crate::client::DEFAULT_ENDPOINT;
use crate::commands::nodes::Nodes;

/// Sample tables that the example joins.
const SAMPLES: [&str; 2] = ["orders.csv", "customer.csv"];
const JOIN: &str = "SELECT c_mktsegment AS segment, COUNT(*) AS orders, ROUND(SUM(o_totalprice), 2) AS total FROM orders JOIN customer ON o_custkey = c_custkey GROUP BY c_mktsegment ORDER BY total DESC";
const PLANETS: &str = "SELECT kind, COUNT(*) AS planets, SUM(moons) AS moons FROM planets GROUP BY kind ORDER BY moons DESC";

/// The facts, before they are written.
pub(super) struct Banner {
    summary: String,
    endpoint: String,
    nodes: Vec<(String, String)>,
    data: PathBuf,
    readable: Vec<PathBuf>,
    commands: [String; 5],
}

impl Banner {
    /// Gathers what is to be said.
    ///
    /// # Errors
    /// When the table to try cannot be written.
    pub(super) fn new(stack: &Stack, nodes: &Nodes, data: &DataDir) -> anyhow::Result<Self> {
        let endpoint = format!("http://{}", stack.public());
        let mut members: Vec<_> = nodes.nodes.iter().map(|node| &node.member).collect();
        members.sort_by_key(|member| (member.role, member.id.as_str().len(), member.id.clone()));
        let (tables, query) = tables(stack.readable(), data)?;
        Ok(Self {
            summary: stack.describe(),
            commands: commands(&endpoint, &program(), &tables, query),
            endpoint,
            nodes: members
                .into_iter()
                .map(|member| (member.id.to_string(), place(member.role, &member.address)))
                .collect(),
            data: data.path().to_owned(),
            readable: stack.readable().to_vec(),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("ElastiCore {version} is up: {} in one process.\n\n", self.summary);
        let mut row = |name: &str, value: &str| text.push_str(&format!("  {name:<14}{value}\n"));
        row("API", &format!("{} (also /openapi.json, /metrics, /ready)", self.endpoint));
        for (name, place) in &self.nodes {
            row(name, place);
        }
        row("data", &self.data.display().to_string());
        for (at, directory) in self.readable.iter().enumerate() {
            row(if at == 0 { "tables under" } else { "" }, &directory.display().to_string());
        }
        text.push_str("\nTry, in another terminal:\n\n");
        for command in &self.commands {
            text.push_str(&format!("  {command}\n"));
        }
        text.push_str("\nCtrl-C stops it. The cache, keys and jobs are there again at the next start.\n");
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let nodes: serde_json::Map<_, _> = self.nodes.iter().map(|(name, place)| (name.clone(), json!(place))).collect();
        json!({ "endpoint": self.endpoint, "nodes": nodes, "data": self.data, "data_dirs": self.readable, "commands": self.commands })
    }
}

fn place(role: Role, address: &str) -> String {
    match role {
        Role::Master => format!("{address} (private)"),
        Role::Auxiliary | Role::Worker => address.to_owned(),
    }
}

/// The tables of the example, by name, and its query.
fn tables(readable: &[PathBuf], data: &DataDir) -> anyhow::Result<(Vec<PathBuf>, &'static str)> {
    let samples = readable
        .iter()
        .map(|directory| SAMPLES.map(|name| directory.join(name)).to_vec());
    match samples
        .into_iter()
        .find(|paths: &Vec<PathBuf>| paths.iter().all(|path| path.is_file()))
    {
        Some(paths) => Ok((paths, JOIN)),
        None => Ok((vec![data.planets()?], PLANETS)),
    }
}

fn commands(endpoint: &str, program: &str, tables: &[PathBuf], query: &str) -> [String; 5] {
    let program = if endpoint == DEFAULT_ENDPOINT {
        program.to_owned()
    } else {
        format!("{program} --endpoint {endpoint}")
    };
    let table = |path: &PathBuf| {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        format!(" -t {}", quoted(&format!("{name}={}", path.display())))
    };
    let tables: String = tables.iter().map(table).collect();
    [
        format!("curl -X PUT '{endpoint}/cache/?key=greeting&value=hello&ttl=300'"),
        format!("curl -i {endpoint}/cache/greeting"),
        format!("curl -X PUT {endpoint}/kv/color -d blue && curl {endpoint}/kv/color"),
        format!("{program} jobs submit --wait{tables} {}", quoted(query)),
        format!("{program} nodes"),
    ]
}

/// How this program is called from a shell: by name when the shell would find this very file, else by its path.
fn program() -> String {
    let name = "elasticore";
    let Ok(this) = std::env::current_exe().and_then(|path| path.canonicalize()) else {
        return name.to_owned();
    };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    if found
        .and_then(|path| path.canonicalize().ok())
        .is_some_and(|path| path == this)
    {
        name.to_owned()
    } else {
        quoted(&shown(&this))
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_reads_words_back() {
        for word in ["plain/path.csv", "", "with space", "it's", "$HOME `x` \"q\" *", "a\\b"] {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn endpoint_is_named_only_when_it_is_not_the_default() {
        let tables = [PathBuf::from("/d/my orders.csv")];
        let standard = commands("http://127.0.0.1:8081", "elasticore", &tables, "SELECT 1");
        assert_eq!(
            standard[3],
            "elasticore jobs submit --wait -t 'my orders=/d/my orders.csv' 'SELECT 1'"
        );
        assert_eq!(
            commands("http://127.0.0.1:5", "elasticore", &[], "SELECT 1")[4],
            "elasticore --endpoint http://127.0.0.1:5 nodes"
        );
    }
}
