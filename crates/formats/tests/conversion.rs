//! What each format makes of the types that are easy to get wrong.

#![allow(clippy::unwrap_used, reason = "a helper of a test that cannot go on has failed")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use formats::{Converter, Error, Format};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn rich() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]))),
        (
            "f",
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(f64::INFINITY), Some(0.5)])),
        ),
        (
            "d",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345), None, Some(-5)])
                    .with_precision_and_scale(20, 2)
                    .unwrap(),
            ),
        ),
        (
            "t",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None, Some(0)])),
        ),
        (
            "z",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(0)]).with_timezone("+00:00")),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(0), None, Some(19_000)]))),
        ("s", Arc::new(StringArray::from(vec![Some("a,\"b\"\nc"), None, Some("")]))),
        (
            "v",
            Arc::new(StringViewArray::from(vec![
                Some("a view longer than twelve bytes"),
                None,
                Some("x"),
            ])),
        ),
        (
            "bin",
            Arc::new(BinaryArray::from(vec![Some(b"\x00\xff".as_slice()), None, Some(b"")])),
        ),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        (
            "dict",
            Arc::new(
                vec![Some("k"), None, Some("k")]
                    .into_iter()
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
        (
            "struct",
            Arc::new(StructArray::from(vec![(
                Arc::new(Field::new("x", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![Some("y"), None, Some("z")])) as ArrayRef,
            )])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn ipc(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn convert(format: Format, parts: &[Vec<u8>], chunk: usize) -> Result<Vec<u8>, Error> {
    let mut converter = Converter::new(format);
    let mut out = Vec::new();
    for part in parts {
        for chunk in part.chunks(chunk) {
            out.extend_from_slice(&converter.feed(Bytes::copy_from_slice(chunk))?);
        }
        converter.end_part()?;
    }
    out.extend_from_slice(&converter.finish()?);
    Ok(out)
}

#[test]
fn json_keeps_nulls_and_writes_nan_and_infinity_as_null() {
    let out = convert(Format::Json, &[ipc(&[rich()])], 7).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["i"], serde_json::json!(i64::MAX));
    for (row, column) in [(0, "f"), (1, "f"), (1, "i"), (1, "d"), (1, "list")] {
        assert_eq!(rows[row].get(column), Some(&serde_json::Value::Null), "{row} {column}");
    }
    assert_eq!(rows[2]["f"], 0.5);
    assert_eq!(rows[0]["t"], "1970-01-01T00:00:01.500");
    assert_eq!(rows[0]["z"], "1970-01-01T00:00:00Z");
    assert_eq!(rows[2]["day"], "2022-01-08");
    assert_eq!(rows[0]["s"], "a,\"b\"\nc");
    assert_eq!(rows[0]["v"], "a view longer than twelve bytes");
    assert_eq!(rows[0]["bin"], "00ff");
    assert_eq!(rows[0]["bool"], true);
    assert_eq!(rows[0]["dict"], "k");
    assert_eq!(rows[0]["list"], serde_json::json!([1, null]));
    assert_eq!(rows[0]["struct"], serde_json::json!({"x": "y"}));
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("\"d\":123.45") && text.contains("\"d\":-0.05"),
        "decimals keep their scale: {text}"
    );
}

#[test]
fn ndjson_has_one_object_a_line_over_all_parts() {
    let out = convert(Format::Ndjson, &[ipc(&[rich()]), ipc(&[rich(), rich()])], 64).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 9);
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok())
    );
}

#[test]
fn csv_has_one_header_quotes_what_needs_it_and_writes_nested_values_as_json() {
    let out = convert(Format::Csv, &[ipc(&[rich()]), ipc(&[rich()])], 1000).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("i,f,d,t,z,day,s,v,bin,bool,dict,list,struct\n"));
    assert_eq!(text.matches("i,f,d,t").count(), 1);
    assert!(
        text.contains(
            "9223372036854775807,NaN,123.45,1970-01-01T00:00:01.500,1970-01-01T00:00:00Z,1970-01-01,\"a,\"\"b\"\"\nc\","
        )
    );
    assert!(
        text.contains(",00ff,true,k,\"[1,null]\",\"{\"\"x\"\":\"\"y\"\"}\"\n"),
        "{text}"
    );
    assert!(text.contains("\n,inf,,,,,,,,,,,\"{\"\"x\"\":null}\"\n"), "{text}");
}

#[test]
fn arrow_is_one_stream_of_all_parts() {
    let out = convert(Format::Arrow, &[ipc(&[rich()]), ipc(&[rich(), rich()])], 13).unwrap();
    let batches: Vec<_> = StreamReader::try_new(out.as_slice(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(batches, vec![rich(), rich(), rich()]);
}

#[test]
fn parquet_reads_back_the_same_rows() {
    let out = convert(Format::Parquet, &[ipc(&[rich()]), ipc(&[rich()])], 100).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(out))
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let expected = arrow::compute::concat_batches(rich().schema_ref(), &[rich(), rich()]).unwrap();
    let actual = arrow::compute::concat_batches(batches[0].schema_ref(), &batches).unwrap();
    for (index, field) in expected.schema().fields().iter().enumerate() {
        // NaN is not equal to itself.
        if field.name() != "f" {
            assert_eq!(
                actual.column(index).to_data(),
                expected.column(index).to_data(),
                "{}",
                field.name()
            );
        }
    }
}

#[test]
fn parquet_gives_out_row_groups_before_the_end() {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}{:016x}", state.rotate_left(17))
    };
    let mut converter = Converter::new(Format::Parquet);
    let mut largest = 0;
    let (mut early, mut file) = (0, Vec::new());
    for _ in 0..6 {
        let rows: Vec<String> = (0..100_000).map(|_| noise()).collect();
        let batch = RecordBatch::try_from_iter([("s", Arc::new(StringArray::from(rows)) as ArrayRef)]).unwrap();
        let out = converter.feed(ipc(&[batch])).unwrap();
        converter.end_part().unwrap();
        early += out.len();
        largest = largest.max(out.len());
        file.extend_from_slice(&out);
    }
    file.extend_from_slice(&converter.finish().unwrap());
    assert!(early > file.len() / 3, "{early} of {} bytes came before the end", file.len());
    assert!(largest < file.len());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    assert!(reader.metadata().num_row_groups() > 1);
    assert_eq!(
        reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
        600_000
    );
}

#[test]
fn no_rows_still_make_a_document() {
    let empty = || ipc(&[RecordBatch::new_empty(rich().schema())]);
    assert_eq!(convert(Format::Json, &[empty()], 10).unwrap(), b"[]");
    assert_eq!(convert(Format::Ndjson, &[empty()], 10).unwrap(), b"");
    assert_eq!(
        convert(Format::Csv, &[empty()], 10).unwrap(),
        b"i,f,d,t,z,day,s,v,bin,bool,dict,list,struct\n"
    );
    let parquet = convert(Format::Parquet, &[empty()], 10).unwrap();
    assert_eq!(
        ParquetRecordBatchReaderBuilder::try_new(Bytes::from(parquet))
            .unwrap()
            .metadata()
            .file_metadata()
            .num_rows(),
        0
    );
}

#[test]
fn a_part_cut_short_anywhere_is_never_a_result() {
    let part = ipc(&[rich(), rich()]);
    for length in 0..part.len() {
        let result = convert(Format::Ndjson, &[part[..length].to_vec()], 1 << 20);
        assert!(
            result.is_err(),
            "{length} of {} bytes were taken for a whole part",
            part.len()
        );
    }
}

#[test]
fn damage_and_foreign_parts_are_errors() {
    assert!(matches!(
        convert(Format::Json, &[b"this is no arrow stream".to_vec()], 5),
        Err(Error::Damaged { .. } | Error::Truncated { .. })
    ));
    let other = RecordBatch::new_empty(Arc::new(Schema::new(vec![Field::new("other", DataType::Utf8, true)])));
    assert!(matches!(
        convert(Format::Json, &[ipc(&[rich()]), ipc(&[other])], 50),
        Err(Error::SchemaMismatch { part: 1 })
    ));
    assert!(matches!(convert(Format::Json, &[], 1), Err(Error::NoParts)));
}
