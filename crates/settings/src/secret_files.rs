//! Secrets that stand in files: `CLUSTER_TOKEN_FILE` names one whose content is `CLUSTER_TOKEN`, as container engines hand them out.
//! So no secret is in the environment, which `docker inspect` and every child process show.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Settings;
use crate::load::to_object;

const SUFFIX: &str = "_FILE";

/// The secrets that files hold, by field name; and what is wrong.
pub(crate) fn read<T: Settings>(
    variables: &BTreeMap<String, String>,
    fields: &Map<String, Value>,
) -> (BTreeMap<String, Value>, Vec<String>) {
    let (mut secrets, mut problems) = (BTreeMap::new(), Vec::new());
    for field in fields.keys() {
        let name = field.to_ascii_uppercase();
        let path = variables.get(&format!("{name}{SUFFIX}")).filter(|path| !path.is_empty());
        let Some(path) = path.filter(|_| is_secret::<T>(field)) else {
            continue;
        };
        if variables.get(&name).is_some_and(|value| !value.is_empty()) {
            problems.push(format!("{name} and {name}{SUFFIX} are both set: leave one of them out"));
            continue;
        }
        match std::fs::read_to_string(path) {
            Err(error) => problems.push(format!("{name}{SUFFIX}: {path} cannot be read: {error}")),
            // Editors end the last line.
            Ok(text) => match text.trim_end_matches(['\r', '\n']) {
                "" => problems.push(format!("{name}{SUFFIX}: {path} is empty")),
                secret => drop(secrets.insert(field.clone(), Value::String(secret.to_owned()))),
            },
        }
    }
    (secrets, problems)
}

/// Whether a setting is one that is not shown.
fn is_secret<T: Settings>(field: &str) -> bool {
    let probe = Map::from_iter([(field.to_owned(), Value::String("a secret".to_owned()))]);
    let settings = serde_json::from_value::<T>(Value::Object(probe));
    settings.is_ok_and(|settings| {
        let shown = to_object(&settings).remove(field);
        shown.is_some_and(|shown| shown.as_str() == Some(crate::values::REDACTED))
    })
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Problems, Secret, Sources, load};

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Example {
        cluster_token: Secret,
        other_token: Secret,
        node_id: String,
    }

    impl Settings for Example {}

    fn loaded(variables: &[(&str, &str)]) -> Result<Example, Vec<String>> {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = Sources {
            environment: environment.collect(),
            ..Sources::default()
        };
        load(&sources).map_err(|Problems(problems)| problems)
    }

    #[test]
    fn secret_may_stand_in_a_file_and_nothing_else_may() {
        let path = std::env::temp_dir().join(format!("settings-secret-{}", std::process::id()));
        let file = path.to_str().unwrap();
        std::fs::write(&path, " s p \n").unwrap();
        let settings = loaded(&[("CLUSTER_TOKEN_FILE", file), ("NODE_ID_FILE", file)]).unwrap();
        assert_eq!(settings.cluster_token.expose(), " s p ");
        assert_eq!((settings.node_id.as_str(), settings.other_token.expose()), ("", ""));

        let both = loaded(&[("CLUSTER_TOKEN_FILE", file), ("CLUSTER_TOKEN", "x")]).unwrap_err();
        assert!(
            both[0].contains("CLUSTER_TOKEN and CLUSTER_TOKEN_FILE are both set"),
            "{both:?}"
        );
        std::fs::write(&path, "\n").unwrap();
        let wrong = loaded(&[("CLUSTER_TOKEN_FILE", file), ("OTHER_TOKEN_FILE", "/not/there")]).unwrap_err();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(
            wrong[0].contains("is empty") && wrong[1].contains("/not/there cannot be read"),
            "{wrong:?}"
        );
        std::fs::remove_file(path).unwrap();
    }
}
