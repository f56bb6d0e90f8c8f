//! Values and texts given on the command line: as they are, from standard input (`-`), or from a file (`@path`).

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// The argument itself.
    Text(String),
    /// Standard input, to its end.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&str> for Value {
    fn from(argument: &str) -> Self {
        match argument.strip_prefix('@') {
            _ if argument == "-" => Self::Stdin,
            Some(text) if text.starts_with('@') => Self::Text(text.to_owned()),
            Some(path) => Self::File(path.into()),
            None => Self::Text(argument.to_owned()),
        }
    }
}

impl Value {
    /// The bytes.
    ///
    /// # Errors
    /// When the file or standard input cannot be read.
    pub(crate) fn read(self) -> anyhow::Result<Bytes> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Stdin => Ok(read_stdin()?.into()),
            Self::File(path) => Ok(read_file(&path)?.into()),
        }
    }
}

/// All of standard input.
pub(crate) fn read_stdin() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    Ok(bytes)
}

/// All of a file.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_character_says_where_a_value_comes_from() {
        assert_eq!(Value::from("plain"), Value::Text("plain".to_owned()));
        assert_eq!(Value::from("-"), Value::Stdin);
        assert_eq!(Value::from("-5"), Value::Text("-5".to_owned()));
        assert_eq!(Value::from("@some/file"), Value::File("some/file".into()));
        assert_eq!(Value::from("@@handle"), Value::Text("@handle".to_owned()));
        assert_eq!(Value::from(""), Value::Text(String::new()));
    }

    #[test]
    fn missing_file_is_named() {
        let error = Value::from("@/no/such/file").read().unwrap_err();
        assert!(error.to_string().contains("/no/such/file"), "{error:#}");
    }
}
