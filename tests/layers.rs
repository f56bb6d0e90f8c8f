//! The tree shows the architecture, and this says so: arrows between crates point only down, and each great dependency
//! has one home. Reads manifests and sources; builds nothing.

#![expect(clippy::unwrap_used, reason = "all of this is a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A word that only some sources may contain, and why.
struct Rule {
    /// The name in the code: a path's first segment, or a type.
    word: &'static str,
    /// Which files of the workspace it binds.
    binds: fn(&str) -> bool,
    /// Where it is at home: prefixes of paths from the root.
    homes: &'static [&'static str],
    because: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        word: "axum",
        binds: everywhere,
        homes: &[
            "crates/transport/",
            "crates/control/src/server",
            "crates/control/src/raft/serve/routes",
            "services/auxiliary/src/http",
            "services/worker/src/http",
            "services/master/src/http",
            "services/auxiliary/src/start",
            "services/worker/src/start",
            "services/master/src/start",
        ],
        because: "only transport and the http directories know how requests arrive",
    },
    Rule {
        word: "reqwest",
        binds: everywhere,
        homes: &[
            "crates/transport/src/peer",
            "crates/elasticore/src/client",
            "crates/histories/src/target/http",
            // Tables of others are no peers: what may be connected to is decided there.
            "crates/query/src/files/stores/",
            "tests/",
        ],
        because: "every call to a peer goes through one client, with its deadline, retries and breaker",
    },
    Rule {
        word: "etcd_client",
        binds: everywhere,
        homes: &["crates/control/"],
        because: "engines of the control store stand behind one trait",
    },
    Rule {
        word: "openraft",
        binds: everywhere,
        homes: &["crates/control/"],
        because: "engines of the control store stand behind one trait",
    },
    Rule {
        word: "datafusion",
        binds: everywhere,
        homes: &["crates/query/"],
        because: "only the workers' library knows the engine",
    },
    Rule {
        word: "datafusion_proto",
        binds: everywhere,
        homes: &["crates/query/"],
        because: "only the workers' library knows the engine",
    },
    Rule {
        word: "object_store",
        binds: everywhere,
        homes: &["crates/blobs/", "crates/query/"],
        because: "blobs stand behind one trait, and the engine reads through one interface",
    },
    Rule {
        word: "StatusCode",
        binds: is_use_case,
        homes: &[],
        because: "use cases speak of what happened; http maps it to a status",
    },
];

fn everywhere(_: &str) -> bool {
    true
}

fn is_use_case(path: &str) -> bool {
    path.contains("/src/app/") || path.ends_with("/src/app.rs")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn members_depend_only_on_members_listed_before_them() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();

    let order: Vec<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<&str> = order
        .iter()
        .map(|id| {
            packages.iter().find(|package| package["id"] == **id).unwrap()["name"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert!(names.len() >= 17, "members: {names:?}");
    let rank: BTreeMap<&str, usize> = names.iter().enumerate().map(|(rank, name)| (*name, rank)).collect();

    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            // A crate may test itself with its features.
            let upward = rank.get(on).is_some_and(|on| *on > rank[name]);
            if upward {
                wrong.push(format!(
                    "{name} depends on {on}, which stands after it in the workspace's members"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows point only down:\n{}", wrong.join("\n"));
}

#[test]
fn each_great_dependency_is_named_only_at_its_home() {
    let root = root();
    let mut files = Vec::new();
    for directory in ["crates", "services", "tests"] {
        sources(&root.join(directory), &mut files);
    }
    assert!(files.len() > 100, "only {} sources were found", files.len());

    let mut wrong = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
        // Tests of a crate may fake the other side of a connection.
        if path == "tests/layers.rs" || path.contains("/tests/") || path.ends_with("/tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for rule in RULES {
            if !(rule.binds)(path) || rule.homes.iter().any(|home| path.starts_with(home)) {
                continue;
            }
            for line in lines_naming(&text, rule.word) {
                wrong.push(format!("{path}:{line} names {}: {}", rule.word, rule.because));
            }
        }
    }
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}

/// Rust sources below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Numbers of the lines whose code names a word; a service may be tested over its router, so unit tests at the end of a file
/// are free.
fn lines_naming(text: &str, word: &str) -> Vec<usize> {
    let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate();
    code.filter(|(_, line)| !line.trim_start().starts_with("//") && names(line, word))
        .map(|(index, _)| index + 1)
        .collect()
}

/// Whether a line has `word` as a whole identifier: at the start of a path (`axum::…`, `use axum;`), or alone as a type.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let whole = !before.ends_with(is_part) && !after.starts_with(is_part);
        // A module of ours may bear the name (`crate::datafusion`), and so may a word in a text.
        let root = !before.trim_end().ends_with("::") && before.matches('"').count() % 2 == 0;
        let path = after.starts_with("::") || after.trim_start().starts_with([';', '{']) || word.starts_with(char::is_uppercase);
        whole && path && (root || word.starts_with(char::is_uppercase))
    })
}

#[test]
fn a_name_is_told_from_a_part_of_one() {
    assert!(names("use axum::Router;", "axum"));
    assert!(names("    axum::Json(x)", "axum"));
    assert!(!names("use utoipa_axum::routes;", "axum"));
    assert!(!names("mod axum_like;", "axum"));
    assert!(!names("say(\"axum::Router\");", "axum"));
    assert!(names("fn f() -> StatusCode {", "StatusCode"));
    assert!(names("use axum::http::StatusCode;", "StatusCode"));
    assert_eq!(
        lines_naming("// axum::x\nuse axum::y;\n#[cfg(test)]\nuse axum::z;", "axum"),
        [2]
    );
}
