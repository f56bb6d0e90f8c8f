//! One schema for several files: by name where their types agree or one can hold the other, refused otherwise.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};

use crate::Error;

/// A file's name for people, and its columns.
pub(super) type FileSchema = (String, Arc<Schema>);

/// The columns of a CSV table: in every file the same, in the same order, since rows are taken apart by position.
pub(super) fn by_position(files: &[FileSchema]) -> Result<Schema, Error> {
    let Some(((first_name, first), others)) = files.split_first() else {
        return Ok(Schema::empty());
    };
    let mut fields: Vec<Field> = first.fields().iter().map(|field| field.as_ref().clone()).collect();
    for (name, other) in others {
        let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        if names(first) != names(other) {
            return Err(Error::Invalid(format!(
                "{first_name} has the columns {} and {name} has {}: make them two tables and UNION ALL them",
                names(first).join(", "),
                names(other).join(", ")
            )));
        }
        for (field, other) in fields.iter_mut().zip(other.fields()) {
            // Whatever it is, it was written as text.
            let data_type = wider(field.data_type(), other.data_type()).unwrap_or(DataType::Utf8);
            *field = Field::new(field.name(), data_type, true);
        }
    }
    Ok(settled(fields))
}

/// The columns of a table whose files name them: a column that a file lacks is null there.
pub(super) fn by_name(files: &[FileSchema]) -> Result<Schema, Error> {
    let mut fields: Vec<Field> = Vec::new();
    for (name, schema) in files {
        for field in schema.fields() {
            let Some(known) = fields.iter_mut().find(|known| known.name() == field.name()) else {
                fields.push(field.as_ref().clone().with_nullable(true));
                continue;
            };
            let Some(both) = wider(known.data_type(), field.data_type()) else {
                return Err(Error::Invalid(format!(
                    "the column {:?} is {} in {name} and {} in other files: declare it in `schema`, or make them two tables",
                    field.name(),
                    field.data_type(),
                    known.data_type()
                )));
            };
            known.set_data_type(both);
        }
    }
    if let [(_, only)] = files {
        // As the file itself says, nullability included.
        return Ok(settled(only.fields().iter().map(|field| field.as_ref().clone()).collect()));
    }
    Ok(settled(fields))
}

/// The declared columns of a CSV file, which must be all of them.
pub(super) fn declared_by_position(declared: &[Field], files: &[FileSchema], header: bool) -> Result<Schema, Error> {
    for (name, schema) in files {
        let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let names = || found.join(", ");
        if found.len() != declared.len() {
            return Err(Error::Invalid(format!(
                "`schema` declares {} columns and {name} has {} ({}): declare all of them, in order",
                declared.len(),
                found.len(),
                names()
            )));
        }
        let elsewhere = |(index, field): (usize, &Field)| {
            let at = found.iter().position(|found| found == field.name());
            at.is_some_and(|at| at != index)
        };
        if header && declared.iter().enumerate().any(elsewhere) {
            return Err(Error::Invalid(format!(
                "`schema` declares the columns in another order than {name} has them ({})",
                names()
            )));
        }
    }
    Ok(Schema::new(declared.to_vec()))
}

/// The declared columns of files that name theirs; each must be in some file.
pub(super) fn declared_by_name(declared: &[Field], files: &[FileSchema]) -> Result<Schema, Error> {
    let has = |field: &Field| files.iter().any(|(_, schema)| schema.field_with_name(field.name()).is_ok());
    match declared.iter().find(|field| !files.is_empty() && !has(field)) {
        Some(missing) => Err(Error::Invalid(format!(
            "`schema` declares the column {:?}, which no file has",
            missing.name()
        ))),
        None => Ok(Schema::new(declared.to_vec())),
    }
}

/// A column without a single value has no type of its own; text can hold what comes.
fn settled(fields: Vec<Field>) -> Schema {
    let settle = |field: Field| match field.data_type() {
        DataType::Null => field.with_data_type(DataType::Utf8).with_nullable(true),
        _ => field,
    };
    Schema::new(fields.into_iter().map(settle).collect::<Fields>())
}

/// The type that holds the values of both.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Null, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View};
    let rank = |t: &DataType| match t {
        Int8 => Some((8, true)),
        Int16 => Some((16, true)),
        Int32 => Some((32, true)),
        Int64 => Some((64, true)),
        UInt8 => Some((8, false)),
        UInt16 => Some((16, false)),
        UInt32 => Some((32, false)),
        UInt64 => Some((64, false)),
        _ => None,
    };
    let float = |t: &DataType| matches!(t, Float32 | Float64);
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => {
            Some(if *a == LargeUtf8 || *b == LargeUtf8 { LargeUtf8 } else { Utf8 })
        }
        _ if float(a) && (float(b) || rank(b).is_some()) || float(b) && rank(a).is_some() => Some(Float64),
        _ => {
            let ((bits_a, signed_a), (bits_b, signed_b)) = (rank(a)?, rank(b)?);
            if signed_a == signed_b {
                return Some(if bits_a > bits_b { a.clone() } else { b.clone() });
            }
            let (signed, unsigned) = if signed_a { (bits_a, bits_b) } else { (bits_b, bits_a) };
            match signed.max(unsigned * 2) {
                16 => Some(Int16),
                32 => Some(Int32),
                64 => Some(Int64),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, fields: &[(&str, DataType)]) -> FileSchema {
        let fields: Vec<Field> = fields.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect();
        (name.to_owned(), Arc::new(Schema::new(fields)))
    }

    #[test]
    fn types_widen_and_never_narrow() {
        use DataType::{Boolean, Float32, Float64, Int16, Int32, Int64, Null, UInt8, UInt32, UInt64, Utf8};
        for (a, b, both) in [
            (Int32, Int64, Some(Int64)),
            (Int64, Float32, Some(Float64)),
            (UInt8, Int16, Some(Int16)),
            (UInt32, Int32, Some(Int64)),
            (UInt64, Int64, None),
            (Null, Utf8, Some(Utf8)),
            (Utf8, Int64, None),
            (Boolean, Int64, None),
        ] {
            assert_eq!(wider(&a, &b), both, "{a} {b}");
            assert_eq!(wider(&b, &a), both, "{b} {a}");
        }
    }

    #[test]
    fn files_are_merged_by_name_or_refused() {
        use DataType::{Int32, Int64, Utf8};
        let a = file("a", &[("x", Int32), ("y", Utf8)]);
        let b = file("b", &[("z", Utf8), ("x", Int64)]);
        let merged = by_name(&[a.clone(), b]).unwrap();
        let columns: Vec<_> = merged
            .fields()
            .iter()
            .map(|f| (f.name().as_str(), f.data_type().clone()))
            .collect();
        assert_eq!(columns, [("x", Int64), ("y", Utf8), ("z", Utf8)]);
        let clash = by_name(&[a, file("c", &[("y", Int64)])]).unwrap_err().to_string();
        assert!(
            clash.contains("\"y\"") && clash.contains("Utf8") && clash.contains("Int64"),
            "{clash}"
        );
    }

    #[test]
    fn csv_files_have_the_same_columns_in_the_same_order() {
        use DataType::{Int64, Utf8};
        let a = file("a.csv", &[("x", Int64), ("y", Int64)]);
        let widened = by_position(&[a.clone(), file("b.csv", &[("x", Utf8), ("y", DataType::Null)])]).unwrap();
        assert_eq!((widened.field(0).data_type(), widened.field(1).data_type()), (&Utf8, &Int64));
        for other in [file("b.csv", &[("y", Int64), ("x", Int64)]), file("b.csv", &[("x", Int64)])] {
            let refused = by_position(&[a.clone(), other]).unwrap_err().to_string();
            assert!(refused.contains("b.csv") && refused.contains("UNION ALL"), "{refused}");
        }
    }
}
