//! One line of an NDJSON result as cells.
//!
//! Values are taken from the text: a decimal with 20 digits read as a 64-bit float would be shown wrong.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The columns and values of one row, in order; a null is an empty text, nested values are JSON.
///
/// # Errors
/// When the line is not a JSON object.
pub(crate) fn fields(line: &str) -> serde_json::Result<Vec<(String, String)>> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let fields = deserializer.deserialize_map(Fields)?;
    deserializer.end()?;
    Ok(fields)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let raw: &RawValue = map.next_value()?;
            fields.push((name, shown(raw.get())));
        }
        Ok(fields)
    }
}

fn shown(json: &str) -> String {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
        Some(b'n') => String::new(),
        _ => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, String)> {
        fields(line).unwrap()
    }

    #[test]
    fn values_are_shown_digit_for_digit_and_in_order() {
        let row = pairs(
            r#"{"z":55909065222.827692,"a":"x \"y\"","n":null,"t":true,"big":12345678901234567890123,"nested":{"k":[1,2]}}"#,
        );
        let expected = [
            ("z", "55909065222.827692"),
            ("a", "x \"y\""),
            ("n", ""),
            ("t", "true"),
            ("big", "12345678901234567890123"),
            ("nested", r#"{"k":[1,2]}"#),
        ];
        assert_eq!(row, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for line in ["", "[1]", "{\"a\":1", "{} {}"] {
            assert!(fields(line).is_err(), "{line}");
        }
    }
}
