//! Columns in the names of directories: `year=2024/month=01/a.parquet`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use percent_encoding::percent_decode_str;

use super::objects::Entry;
use crate::Error;

/// What Hive writes for null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns, and for each file its values.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    pub(super) columns: Vec<FieldRef>,
    pub(super) values: Vec<Vec<ScalarValue>>,
}

/// Finds the columns. A declared type is taken; otherwise values that are all whole numbers are numbers, values that are all
/// dates are dates, and others are text.
pub(super) fn partitions(entries: &[Entry], declared: &[Field]) -> Result<Partitions, Error> {
    let found: Vec<Vec<(String, Option<String>)>> = entries.iter().map(|entry| pairs(&entry.relative)).collect();
    let Some((first, others)) = found.split_first() else {
        return Ok(Partitions::default());
    };
    let keys: Vec<&String> = first.iter().map(|(key, _)| key).collect();
    for (pairs, entry) in others.iter().zip(&entries[1..]) {
        if !pairs.iter().map(|(key, _)| key).eq(keys.iter().copied()) {
            return Err(Error::Invalid(format!(
                "{} and {} do not lie in directories of the same keys (key=value/…): name those of one shape",
                entries[0].shown, entry.shown
            )));
        }
    }
    let mut columns = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            return Err(Error::Invalid(format!(
                "{}: the key {key:?} stands there twice",
                entries[0].shown
            )));
        }
        let data_type = match declared.iter().find(|field| field.name() == *key) {
            Some(field) => field.data_type().clone(),
            None => type_of(found.iter().filter_map(|pairs| pairs[index].1.as_deref())),
        };
        columns.push(Arc::new(Field::new(key.as_str(), data_type, true)));
    }
    let value = |(column, (key, value)): (&FieldRef, &(String, Option<String>))| match value {
        None => ScalarValue::try_from(column.data_type()).map_err(|error| Error::Invalid(error.strip_backtrace())),
        Some(value) => ScalarValue::try_from_string(value.clone(), column.data_type()).map_err(|_| {
            Error::Invalid(format!(
                "the directory {key}={value} is no value of type {}",
                column.data_type()
            ))
        }),
    };
    let values = found
        .iter()
        .map(|pairs| columns.iter().zip(pairs).map(value).collect())
        .collect::<Result<_, _>>()?;
    Ok(Partitions { columns, values })
}

fn pairs(relative: &str) -> Vec<(String, Option<String>)> {
    let directories = relative.rsplit_once('/').map_or("", |(directories, _)| directories);
    let pair = |directory: &str| {
        let (key, value) = directory.split_once('=')?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let value = decoded(value);
        (!key.is_empty()).then(|| (decoded(key), (value != NULL).then_some(value)))
    };
    directories.split('/').filter_map(pair).collect()
}

fn type_of<'a>(values: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let all = |data_type: &DataType| {
        values
            .clone()
            .all(|value| ScalarValue::try_from_string(value.to_owned(), data_type).is_ok())
    };
    let number = |value: &str| {
        let digits = value.strip_prefix('-').unwrap_or(value);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let date = |value: &str| value.len() == 10 && value.bytes().filter(|byte| *byte == b'-').count() == 2;
    if values.clone().next().is_none() {
        DataType::Utf8
    } else if values.clone().all(number) && all(&DataType::Int64) {
        DataType::Int64
    } else if values.clone().all(date) && all(&DataType::Date32) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::ObjectMeta;

    use super::*;

    fn found(paths: &[&str], declared: &[Field]) -> Result<Partitions, Error> {
        let entry = |path: &&str| Entry {
            relative: (*path).to_owned(),
            shown: (*path).to_owned(),
            meta: ObjectMeta {
                location: "x".into(),
                last_modified: std::time::UNIX_EPOCH.into(),
                size: 1,
                e_tag: None,
                version: None,
            },
        };
        partitions(&paths.iter().map(entry).collect::<Vec<_>>(), declared)
    }

    #[test]
    fn types_are_those_that_fit_all_values() {
        for (paths, expected) in [
            (["k=1/a", "k=02/a"], DataType::Int64),
            (["k=-1/a", "k=__HIVE_DEFAULT_PARTITION__/a"], DataType::Int64),
            (["k=2024-01-31/a", "k=2024-02-01/a"], DataType::Date32),
            (["k=2024-01-31/a", "k=2024-02-31/a"], DataType::Utf8),
            (["k=1/a", "k=x%2Fy/a"], DataType::Utf8),
            (["k=99999999999999999999/a", "k=1/a"], DataType::Utf8),
        ] {
            let partitions = found(&paths, &[]).unwrap();
            assert_eq!(partitions.columns[0].data_type(), &expected, "{paths:?}");
        }
        let declared = [Field::new("k", DataType::Utf8, true)];
        assert_eq!(found(&["k=1/a"], &declared).unwrap().columns[0].data_type(), &DataType::Utf8);
    }

    #[test]
    fn values_are_decoded_and_may_be_null() {
        let partitions = found(&["a=1/b=x%2Fy/f.csv", "a=2/b=__HIVE_DEFAULT_PARTITION__/f.csv"], &[]).unwrap();
        assert_eq!(
            partitions.values[0],
            [ScalarValue::Int64(Some(1)), ScalarValue::Utf8(Some("x/y".to_owned()))]
        );
        assert_eq!(partitions.values[1], [ScalarValue::Int64(Some(2)), ScalarValue::Utf8(None)]);
    }

    #[test]
    fn directories_of_different_keys_are_refused() {
        for paths in [["k=1/a", "a"], ["k=1/a", "l=1/a"], ["k=1/l=1/a", "l=1/k=1/a"]] {
            assert!(found(&paths, &[]).is_err(), "{paths:?}");
        }
        assert!(found(&["k=1/k=2/a"], &[]).is_err());
        assert!(found(&["x/a", "y/z/a"], &[]).unwrap().columns.is_empty());
        let declared = [Field::new("k", DataType::Int64, true)];
        assert!(found(&["k=x/a"], &declared).is_err());
    }
}
