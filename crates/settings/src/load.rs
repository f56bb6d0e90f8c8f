//! Layering of the sources, and one report of everything that is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use config::{Config, Environment, File, FileFormat, Map};
use serde_json::Value;

use crate::Settings;
use crate::discreet::{carries_credentials, without_excerpts};
use crate::names::{misspelt, nearest};
use crate::secret_files;
use crate::wording::{in_words, unopened};

/// Where settings come from, besides the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// TOML or YAML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those that name no setting, and are not a slip away from one, are not ours and are left alone.
    pub environment: BTreeMap<String, String>,
    /// Flags, by field name.
    pub flags: BTreeMap<String, String>,
}

impl Sources {
    /// The environment of this process, and the arguments of a service: `--config FILE`, and `--field-name VALUE` or
    /// `--field-name=VALUE` for every field.
    ///
    /// # Errors
    /// When an argument is not of that form.
    pub fn of_process(arguments: impl IntoIterator<Item = String>) -> Result<Self, Problems> {
        let mut sources = Self {
            environment: std::env::vars().collect(),
            ..Self::default()
        };
        let mut arguments = arguments.into_iter();
        let mut problems = Vec::new();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix("--") else {
                problems.push(format!("{argument:?} is no flag; flags are --name VALUE"));
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, arguments.next()),
            };
            match value {
                Some(value) if name == "config" => sources.file = Some(value.into()),
                Some(value) => drop(sources.flags.insert(name.replace('-', "_"), value)),
                None => problems.push(format!("--{name} needs a value")),
            }
        }
        if problems.is_empty() {
            Ok(sources)
        } else {
            Err(Problems(problems))
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "{} settings are wrong:\n  - {}", many.len(), many.join("\n  - ")),
        }
    }
}

/// Reads all sources into a `T`.
///
/// # Errors
/// Every problem at once: unknown keys, values of the wrong form, and what [`Settings::problems`] finds.
pub fn load<T: Settings>(sources: &Sources) -> Result<T, Problems> {
    // Serialising the defaults would redact secrets; an object of `null`s keeps the names and lets the defaults fill in.
    let defaults = to_object(&T::default());
    let (file, mut problems) = read_file(sources);
    let (secrets, unread) = secret_files::read::<T>(&sources.environment, &defaults);
    problems.extend(unread);
    let layers = [
        (file, Origin::File),
        (secrets, Origin::Variable),
        (environment::<T>(&sources.environment, &defaults), Origin::Variable),
        (
            sources
                .flags
                .clone()
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
            Origin::Flag,
        ),
    ];
    let mut accepted = serde_json::Map::new();
    for (layer, origin) in layers {
        for (name, value) in layer {
            if !defaults.contains_key(&name) {
                let hint = nearest(&name, defaults.keys())
                    .map(|near| format!("; did you mean {}?", origin.name(near)))
                    .unwrap_or_default();
                problems.push(format!("{} is not a setting of this service{hint}", origin.name(&name)));
                continue;
            }
            match parse_one::<T>(&name, value) {
                Ok(value) if carries_credentials(&value) => problems.push(format!(
                    "{} has a user name or password in an address, which logs and listings would show: take it out of the address",
                    origin.name(&name)
                )),
                Ok(value) => drop(accepted.insert(name, value)),
                Err(error) => problems.push(format!("{}: {error}", origin.name(&name))),
            }
        }
    }
    problems.extend(misspelt::<T>(&sources.environment, &defaults));
    let settings: T = serde_json::from_value(Value::Object(accepted)).map_err(|error| Problems(vec![error.to_string()]))?;
    problems.extend(settings.problems());
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(Problems(problems))
    }
}

/// Which layer a value came from, so that a message names it as the user wrote it.
#[derive(Clone, Copy)]
enum Origin {
    File,
    Variable,
    Flag,
}

impl Origin {
    fn name(self, field: &str) -> String {
        match self {
            Self::File => format!("{field} (in the configuration file)"),
            Self::Variable => field.to_ascii_uppercase(),
            Self::Flag => format!("--{}", field.replace('_', "-")),
        }
    }
}

pub(crate) fn to_object<T: Settings>(value: &T) -> serde_json::Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    }
}

/// Settings named in the environment, by field name, through `config`'s environment source; aliases first, so that the
/// proper name wins.
fn environment<T: Settings>(
    variables: &BTreeMap<String, String>,
    fields: &serde_json::Map<String, Value>,
) -> BTreeMap<String, Value> {
    let ours: Map<String, String> = T::ALIASES
        .iter()
        .filter_map(|(alias, field)| Some(((*field).to_owned(), variables.get(*alias)?.clone())))
        .chain(
            fields
                .keys()
                .filter_map(|field| Some((field.clone(), variables.get(&field.to_ascii_uppercase())?.clone()))),
        )
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let source = Environment::default().source(Some(ours));
    let read = Config::builder().add_source(source).build().and_then(Config::try_deserialize);
    read.unwrap_or_default()
}

fn read_file(sources: &Sources) -> (BTreeMap<String, Value>, Vec<String>) {
    let Some(path) = &sources.file else {
        return (BTreeMap::new(), Vec::new());
    };
    if let Some(problem) = unopened(path) {
        return (BTreeMap::new(), vec![problem]);
    }
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => FileFormat::Toml,
        Some("yaml" | "yml") => FileFormat::Yaml,
        _ => {
            return (
                BTreeMap::new(),
                vec![format!(
                    "{}: the configuration file must end in .toml, .yaml or .yml",
                    path.display()
                )],
            );
        }
    };
    let read = Config::builder().add_source(File::from(path.clone()).format(format)).build();
    match read.and_then(Config::try_deserialize) {
        Ok(values) => (values, Vec::new()),
        Err(error) => (
            BTreeMap::new(),
            vec![
                format!("{}: {}", path.display(), without_excerpts(&error.to_string()))
                    .replace(&format!(": in {}", path.display()), ""),
            ],
        ),
    }
}

/// Tries a value alone, as it is and, when it is text, as the number or boolean it spells.
fn parse_one<T: Settings>(name: &str, value: Value) -> Result<Value, String> {
    let spelled = value
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .filter(|v| v.is_number() || v.is_boolean());
    let attempt = |value: &Value| {
        let alone = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(alone))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let first = attempt(&value);
    match (first, spelled) {
        (Ok(()), _) => Ok(value),
        (Err(error), None) => Err(in_words(&error, &value)),
        (Err(_), Some(spelled)) => match attempt(&spelled) {
            Ok(()) => Ok(spelled),
            Err(error) => Err(in_words(&error, &value)),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{ByteSize, List, Secret};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        port: u16,
        virtual_nodes: u32,
        cache_max_bytes: ByteSize,
        cluster_token: Secret,
        zone: Option<String>,
        node_id: String,
        data_dirs: List,
    }

    impl Default for Example {
        fn default() -> Self {
            Self {
                port: 3001,
                virtual_nodes: 256,
                cache_max_bytes: ByteSize(256 << 20),
                cluster_token: Secret::default(),
                zone: None,
                node_id: String::new(),
                data_dirs: List::default(),
            }
        }
    }

    impl Settings for Example {
        const ALIASES: &'static [(&'static str, &'static str)] = &[("REPLICATION_FACTOR", "virtual_nodes")];
        fn problems(&self) -> Vec<String> {
            if self.virtual_nodes == 0 {
                vec!["VIRTUAL_NODES must be at least 1".to_owned()]
            } else {
                Vec::new()
            }
        }
    }

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn later_sources_win() {
        let directory = std::env::temp_dir().join(format!("settings-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("node.toml");
        std::fs::write(
            &file,
            "port = 1\nvirtual_nodes = 1\nzone = \"a\"\ndata_dirs = [\"/x\", \"/y\"]\n",
        )
        .unwrap();
        let sources = Sources {
            file: Some(file),
            environment: variables(&[
                ("PORT", "2"),
                ("VIRTUAL_NODES", "2"),
                ("UNRELATED", "x"),
                ("NODE_ID", "42"),
                ("CLUSTER_TOKEN", "s"),
            ]),
            flags: variables(&[("port", "3"), ("cache_max_bytes", "1GiB")]),
        };
        let settings: Example = load(&sources).unwrap();
        assert_eq!(
            (settings.port, settings.virtual_nodes, settings.zone.as_deref()),
            (3, 2, Some("a"))
        );
        assert_eq!(
            (settings.cache_max_bytes, settings.node_id.as_str()),
            (ByteSize(1 << 30), "42")
        );
        assert_eq!((settings.cluster_token.expose(), settings.data_dirs.0.len()), ("s", 2));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let sources = Sources {
            environment: variables(&[("PORT", "eighty"), ("CACHE_MAX_BYTES", "lots"), ("VIRTUAL_NODES", "0")]),
            flags: variables(&[("prot", "1")]),
            ..Sources::default()
        };
        let problems = load::<Example>(&sources).unwrap_err().0;
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(
            problems
                .iter()
                .any(|p| p.contains("--prot") && p.contains("did you mean --port")),
            "{problems:?}"
        );
        assert!(
            problems
                .iter()
                .any(|p| p.starts_with("CACHE_MAX_BYTES") && p.contains("256MiB")),
            "{problems:?}"
        );
    }

    #[test]
    fn a_variable_that_is_almost_a_setting_is_refused_and_others_are_left_alone() {
        let load = |names: &[(&str, &str)]| {
            load::<Example>(&Sources {
                environment: variables(names),
                ..Sources::default()
            })
        };
        for (wrong, right) in [
            ("CACHE_MAX_BYTE", "CACHE_MAX_BYTES"),
            ("VITRUAL_NODES", "VIRTUAL_NODES"),
            ("DATA_DIRSS", "DATA_DIRS"),
            ("VIRTUALNODES", "VIRTUAL_NODES"),
        ] {
            let Problems(problems) = load(&[(wrong, "1")]).unwrap_err();
            assert_eq!(
                problems,
                [format!(
                    "{wrong} is not a setting; did you mean {right}? Unset it if it is somebody else's"
                )]
            );
        }
        let others = [
            ("PORTS", "x"),
            ("NODE_IP", "x"),
            ("XDG_DATA_DIRS", "x"),
            ("REPLICATION_FACTOR", "3"),
            ("zone", "x"),
            ("CLUSTER_NAME", "x"),
        ];
        assert_eq!(load(&others).unwrap().virtual_nodes, 3);
    }

    #[test]
    fn alias_of_the_original_design_is_accepted_and_the_proper_name_wins() {
        let alias = Sources {
            environment: variables(&[("REPLICATION_FACTOR", "10")]),
            ..Sources::default()
        };
        assert_eq!(load::<Example>(&alias).unwrap().virtual_nodes, 10);
        let both = Sources {
            environment: variables(&[("REPLICATION_FACTOR", "10"), ("VIRTUAL_NODES", "20")]),
            ..Sources::default()
        };
        assert_eq!(load::<Example>(&both).unwrap().virtual_nodes, 20);
    }
}
