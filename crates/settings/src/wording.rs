//! What a parser says of a value, in words for whoever wrote it.

use std::path::Path;

use serde_json::Value;

use crate::discreet::carries_credentials;

/// What numbers of a type may be, by the name that serde has for it.
const RANGES: [(&str, &str); 6] = [
    ("u8", "from 0 to 255"),
    ("u16", "from 0 to 65535"),
    ("u32", "from 0 to 4294967295"),
    ("u64", "of 0 or more"),
    ("usize", "of 0 or more"),
    ("nonzero u32", "from 1 to 4294967295"),
];

/// The complaint as it is told. It quotes the value only where that is no secret: where a number, an address or a choice is wanted.
pub(crate) fn in_words(complaint: &str, value: &Value) -> String {
    if carries_credentials(value) {
        return "it has a user name or password, and is no such value".to_owned();
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some((_, wanted)) = complaint.rsplit_once("expected ") {
        if let Some((_, range)) = RANGES.iter().find(|(kind, _)| *kind == wanted) {
            return format!("{text:?} is not a whole number {range}");
        }
        if wanted == "a boolean" {
            return format!("{text:?} is neither true nor false");
        }
    }
    if complaint == "invalid IP address syntax" {
        return format!(
            "{text:?} is no IP address: write 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses, or one of them; names are not looked up"
        );
    }
    complaint.to_owned()
}

/// What is wrong with a configuration file that cannot be opened, if anything is.
pub(crate) fn unopened(path: &Path) -> Option<String> {
    let error = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Some(format!("--config {}: it is a directory, not a file", path.display())),
        Ok(_) => std::fs::File::open(path).err()?,
        Err(error) => error,
    };
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound if path.is_relative() => {
            let here = std::env::current_dir().unwrap_or_default();
            format!("there is no such file in {}; write its whole path", here.display())
        }
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "the user this process runs as may not read it".to_owned(),
        _ => error.to_string(),
    };
    Some(format!("--config {}: {hint}", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_out_of_range_and_no_numbers_are_told_the_range() {
        let told = |complaint: &str, value| in_words(complaint, &value);
        assert_eq!(
            told("invalid value: integer `99999`, expected u16", json!(99999)),
            "\"99999\" is not a whole number from 0 to 65535"
        );
        assert_eq!(
            told("invalid type: string \"eighty\", expected u16", json!("eighty")),
            "\"eighty\" is not a whole number from 0 to 65535"
        );
        assert_eq!(
            told("invalid type: string \"x\", expected usize", json!("x")),
            "\"x\" is not a whole number of 0 or more"
        );
        assert_eq!(told("something else", json!("x")), "something else");
    }

    #[test]
    fn host_names_are_no_addresses_to_listen_on() {
        let told = in_words("invalid IP address syntax", &json!("localhost"));
        assert!(told.starts_with("\"localhost\" is no IP address: write 127.0.0.1"), "{told}");
    }

    #[test]
    fn file_that_is_not_there_is_told_once_with_where_it_was_looked_for() {
        let told = unopened(Path::new("not-there.toml")).unwrap();
        assert!(
            told.starts_with("--config not-there.toml: there is no such file in /"),
            "{told}"
        );
        assert_eq!(told.matches("not-there.toml").count(), 1);
        assert!(unopened(Path::new("/")).unwrap().contains("is a directory"));
        assert_eq!(unopened(&std::env::current_exe().unwrap()), None);
    }
}
