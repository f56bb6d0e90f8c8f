//! Names that were meant to be others.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Settings;

/// Letters by which a slip differs, in a flag or a file: every name there is meant for us.
const SLIP: usize = 3;
/// The same in the environment, where most names are not.
const SLIP_OF_VARIABLE: usize = 2;
/// Shorter names are a few letters away from many others.
const SHORTEST_VARIABLE: usize = 8;

/// The known name closest to a misspelt one, when close enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(name, candidate), candidate.as_str()))
        .filter(|(d, _)| *d <= SLIP)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, two rows at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Variables that are almost a setting. They would be left out in silence, and the cluster would run with a default that nobody wanted.
pub(crate) fn misspelt<T: Settings>(variables: &BTreeMap<String, String>, fields: &Map<String, Value>) -> Vec<String> {
    let known: Vec<String> = fields.keys().map(|field| field.to_ascii_uppercase()).collect();
    let is_ours = |name: &str| known.iter().any(|field| field == name) || T::ALIASES.iter().any(|(alias, _)| *alias == name);
    let slip = |name: &String| {
        if name.len() < SHORTEST_VARIABLE || is_ours(name) {
            return None;
        }
        // Names in one word are often others', unless they are one of ours but for its underscores.
        if !name.contains('_') {
            let near = known.iter().find(|field| field.replace('_', "") == *name)?;
            return Some(refusal(name, near));
        }
        let near = nearest(name, known.iter()).filter(|near| distance(name, near) <= SLIP_OF_VARIABLE)?;
        Some(refusal(name, near))
    };
    variables.keys().filter_map(slip).collect()
}

fn refusal(name: &str, near: &str) -> String {
    format!("{name} is not a setting; did you mean {near}? Unset it if it is somebody else's")
}
