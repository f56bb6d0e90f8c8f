//! What is wrong with settings is said without repeating secrets: messages go to logs.

use serde_json::Value;

/// A parser's complaint without the lines of the file that it quotes: they may hold a secret.
pub(crate) fn without_excerpts(complaint: &str) -> String {
    let quoted = |line: &&str| {
        line.trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start()
            .starts_with('|')
    };
    let kept: Vec<_> = complaint
        .lines()
        .filter(|line| !quoted(line) && !line.trim().is_empty())
        .map(str::trim)
        .collect();
    kept.join(": ")
}

/// Whether an address in a value has a user name in it.
pub(crate) fn carries_credentials(value: &Value) -> bool {
    let in_address = |text: &str| {
        text.split("://").skip(1).any(|rest| {
            rest.split(['/', '?', '#', ',', ' '])
                .next()
                .is_some_and(|authority| authority.contains('@'))
        })
    };
    match value {
        Value::String(text) => in_address(text),
        Value::Array(items) => items.iter().any(carries_credentials),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use crate::{Secret, Sources, load};

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        port: u16,
        zone: String,
        endpoints: crate::List,
        cluster_token: Secret,
    }

    impl crate::Settings for Example {}

    fn of_file(extension: &str, content: &str) -> String {
        let file = tempfile::Builder::new().suffix(extension).tempfile().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let sources = Sources {
            file: Some(file.path().to_owned()),
            ..Sources::default()
        };
        load::<Example>(&sources).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_said_without_it() {
        for (extension, content) in [
            (".toml", "cluster_token = \"hunter2"),
            (".toml", "cluster_token = hunter2"),
            (".toml", "port = 1\ncluster_token = 'hunter2' 'hunter2'"),
            (".toml", "cluster_token = ['hunter2']"),
            (".toml", "[cluster_token]\nhunter2 = 1"),
            (".yaml", "cluster_token: \"hunter2"),
            (".yaml", "cluster_token: hunter2: x"),
            (".yaml", "cluster_token: [hunter2]"),
            (".yaml", "cluster_token: {hunter2: x}"),
            (".yaml", "cluster_token: hunter2\n port: 3"),
        ] {
            let said = of_file(extension, content);
            assert!(!said.contains("hunter2"), "{content:?}: {said}");
            assert!(said.len() > 20, "{content:?}: {said}");
        }
        let number = of_file(".toml", "cluster_token = 123454321");
        assert!(number.contains("quotes") && !number.contains("123454321"), "{number}");
    }

    #[test]
    fn where_a_file_is_wrong_is_said() {
        let said = of_file(".toml", "port = 1\nzone = \"a");
        assert!(said.contains("line 2"), "{said}");
    }

    #[test]
    fn addresses_with_passwords_are_refused_and_not_repeated() {
        let environment = |name: &str, value: &str| Sources {
            environment: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..Sources::default()
        };
        for value in ["http://user:hunter2@host:2379", "http://a:1,https://hunter2@b:1/path"] {
            for name in ["ENDPOINTS", "ZONE"] {
                let said = load::<Example>(&environment(name, value)).unwrap_err().to_string();
                assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
            }
        }
        for value in ["http://host:2379/a@b", "user@host", "http://host?x=@"] {
            assert!(load::<Example>(&environment("ZONE", value)).is_ok(), "{value}");
        }
    }
}
