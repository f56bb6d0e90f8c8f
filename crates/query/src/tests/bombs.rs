//! Files made to take more memory than they look like: they fail at once, or fit the pool.

use std::path::Path;
use std::sync::Arc;

use api::ErrorCode;
use api::job::TableSpec;
use api::task::{PlanFile, PlanTable};
use bytes::Bytes;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::object_store::memory::InMemory;
use datafusion::object_store::{ObjectStore, ObjectStoreExt};
use futures::{StreamExt, TryStreamExt, stream};

use super::cluster::{Cluster, sorted_rows};
use super::data::table;
use crate::{DataDirs, Engine, EngineSettings, Failure};

const MIB: usize = 1 << 20;

const COMPRESSIONS: [(&str, FileCompressionType); 5] = [
    ("", FileCompressionType::UNCOMPRESSED),
    (".gz", FileCompressionType::GZIP),
    (".zst", FileCompressionType::ZSTD),
    (".bz2", FileCompressionType::BZIP2),
    (".xz", FileCompressionType::XZ),
];

/// Packs text without holding it.
async fn packed(pieces: impl IntoIterator<Item = Bytes, IntoIter: Send>, by: FileCompressionType) -> Vec<u8> {
    let plain = stream::iter(pieces.into_iter().map(Ok)).boxed();
    let packed = by.convert_to_compress_stream(plain).unwrap();
    let append = |mut all: Vec<u8>, chunk: Bytes| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    };
    packed.try_fold(Vec::new(), append).await.unwrap()
}

/// `before`, then a value of this many MiB, then `after`.
fn long(before: &str, mib: usize, after: &str) -> Vec<Bytes> {
    let piece = Bytes::from(vec![b'x'; MIB]);
    let mut pieces = vec![Bytes::copy_from_slice(before.as_bytes())];
    pieces.extend(std::iter::repeat_n(piece, mib));
    pieces.push(Bytes::copy_from_slice(after.as_bytes()));
    pieces
}

/// Most memory this process had, MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
}

fn code(failure: &Failure) -> Option<ErrorCode> {
    match failure {
        Failure::User { code, .. } => Some(*code),
        _ => None,
    }
}

async fn failure(cluster: &mut Cluster, path: &Path, sql: &str) -> Failure {
    cluster.tables.insert("t".to_owned(), table(path));
    match cluster.engine.plan_sql(cluster.request(sql, 3)).await {
        Err(error) => error.into(),
        Ok(graph) => cluster.run(&graph, &mut |_, _| {}).await.expect_err("it fails"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_half_a_gib_fails_the_job_and_takes_no_memory() {
    let mut cluster = Cluster::new();
    let data = cluster.dir.path().join("data");
    for (name, before, after) in [("l.csv.zst", "a,b\n1,\"", "\"\n"), ("l.ndjson.zst", "{\"a\":\"", "\"}\n")] {
        let path = data.join(name);
        std::fs::write(&path, packed(long(before, 512, after), FileCompressionType::ZSTD).await).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < MIB as u64);
        let before = peak();
        let failed = failure(&mut cluster, &path, "SELECT count(*) FROM t").await;
        assert_eq!(code(&failed), Some(ErrorCode::TooLarge), "{failed:?}");
        let said = failed.to_string();
        assert!(said.contains("16 MiB") && said.contains(name), "{said}");
        assert!(peak() < before + 200, "{before} MiB became {}", peak());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_record_far_behind_the_first_rows_is_found_when_it_is_read() {
    let mut cluster = Cluster::new();
    let data = cluster.dir.path().join("data");
    let csv = (0..12_000).fold("a,b\n".to_owned(), |text, n| text + &format!("{n},x\n"));
    let json = (0..12_000).fold(String::new(), |text, n| text + &format!("{{\"a\":{n},\"b\":\"x\"}}\n"));
    for (extension, by) in COMPRESSIONS {
        for (name, before, after) in [
            ("v.csv", format!("{csv}1,"), "\n2,y\n"),
            // A line break within a value ends no record, wherever the file is cut.
            ("q.csv", format!("{csv}1,\"\n\n"), "\"\n2,y\n"),
            ("v.ndjson", format!("{json}{{\"a\":1,\"b\":\""), "\"}\n{\"a\":2}\n"),
            ("q.ndjson", format!("{json}{{\"a\":\n1,\"b\":\""), "\"\n}\n{\"a\":2}\n"),
        ] {
            let path = data.join(format!("{name}{extension}"));
            std::fs::write(&path, packed(long(&before, 20, after), by).await).unwrap();
            let failed = failure(&mut cluster, &path, "SELECT count(*), max(b) FROM t").await;
            if extension.is_empty() && name == "q.ndjson" {
                // Cut in the middle of a value, a part is no JSON: the user's to mend as well.
                assert!(matches!(failed, Failure::User { .. }), "{failed:?}");
                continue;
            }
            assert_eq!(code(&failed), Some(ErrorCode::TooLarge), "{name}{extension}: {failed:?}");
            let said = failed.to_string();
            assert!(said.contains("16 MiB") && said.contains(name), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_rows_are_read_a_few_at_a_time_and_counted_when_they_come_unexpected() {
    let mut cluster = Cluster::with_memory(64 * MIB);
    let data = cluster.dir.path().join("data");
    let line = |bytes: usize| Bytes::from([&b"{\"a\":\""[..], &vec![b'x'; bytes], b"\"}\n"].concat());
    let path = data.join("wide.ndjson.zst");
    let wide = std::iter::repeat_n(line(MIB), 400);
    std::fs::write(&path, packed(wide, FileCompressionType::ZSTD).await).unwrap();
    cluster.tables.insert("t".to_owned(), table(&path));
    let sql = "SELECT count(*), sum(length(a)) FROM t";
    assert_eq!(sorted_rows(&cluster.query(sql, 3).await), [format!("|400|{}|", 400 * MIB)]);

    let path = data.join("sudden.ndjson.zst");
    let sudden = std::iter::repeat_n(line(5), 20_000).chain(std::iter::repeat_n(line(8 * MIB), 200));
    std::fs::write(&path, packed(sudden, FileCompressionType::ZSTD).await).unwrap();
    let failed = failure(&mut cluster, &path, sql).await;
    assert!(
        matches!(&failed, Failure::OutOfMemory(text) if text.contains("rows of a text file")),
        "{failed:?}"
    );
    assert!(peak() < 600, "{} MiB", peak());
    assert_eq!(cluster.engine.memory_used(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_of_a_packed_file_are_read_from_every_store() {
    let mut cluster = Cluster::new();
    let blobs: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    cluster.engine = Engine::try_new(EngineSettings {
        memory_bytes: 64 * MIB,
        spill_dir: cluster.dir.path().join("spill"),
        spill_limit_bytes: 1 << 30,
        data_dirs: DataDirs::try_new([cluster.dir.path().join("data")]).unwrap(),
        blobs: Some(Arc::clone(&blobs)),
        ..EngineSettings::default()
    })
    .unwrap();
    for (extension, by) in COMPRESSIONS {
        let mut members = Vec::new();
        for member in ["n\n1\n", "2\n3\n", "4\n"] {
            members.extend(packed([Bytes::from(member)], by).await);
        }
        let name = format!("m.csv{extension}");
        let path = cluster.dir.path().join("data").join(&name);
        std::fs::write(&path, &members).unwrap();
        let bytes = members.len() as u64;
        blobs.put(&name.as_str().into(), members.into()).await.unwrap();
        let files = vec![PlanFile {
            path: name.clone(),
            blob: name.clone(),
            bytes,
        }];
        let spec = TableSpec {
            dataset: Some("d".to_owned()),
            ..TableSpec::default()
        };
        cluster.tables.insert("t".to_owned(), table(&path));
        cluster.planned.insert("d".to_owned(), PlanTable { spec, files });
        for from in ["t", "d"] {
            let rows = sorted_rows(&cluster.query(&format!("SELECT count(*), sum(n) FROM {from}"), 3).await);
            assert_eq!(rows, ["|4|10|"], "{from} {name}");
        }
    }
}

/// As its specification has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_asks_for_gigabytes_to_be_unpacked_is_refused() {
    let mut cluster = Cluster::new();
    let path = cluster.dir.path().join("data/w.csv.xz");
    let mut file = packed([Bytes::from("n\n1\n")], FileCompressionType::XZ).await;
    // The header of the first block: its size, flags, the filter LZMA2 with one byte of properties, and a checksum.
    let header = 12..12 + (usize::from(file[12]) + 1) * 4;
    assert_eq!(file[14..16], [0x21, 1], "another filter than was thought");
    file[16] = 38;
    let sum = crc32(&file[header.start..header.end - 4]);
    file[header.end - 4..header.end].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, file).unwrap();
    let failed = failure(&mut cluster, &path, "SELECT n FROM t").await;
    assert_eq!(code(&failed), Some(ErrorCode::TooLarge), "{failed:?}");
    assert!(failed.to_string().contains("smaller window"), "{failed}");
}

/// A number as a head of a page has it.
fn zigzag(number: usize) -> Vec<u8> {
    let mut rest = number << 1;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A Parquet file of one column, `a`, with one page of so many MiB of zeros.
async fn parquet_page(mib: usize) -> Vec<u8> {
    use datafusion::arrow::array::{ArrayRef, BinaryArray, RecordBatch};
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    // A page of something that cannot be packed, which makes room for one of something that can.
    let mut random = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    })
    .take(MIB)
    .collect();
    let column: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&noise]));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .build();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let reader = SerializedFileReader::new(Bytes::from(file.clone())).unwrap();
    let (start, length) = reader.metadata().row_group(0).column(0).byte_range();

    let zeros = std::iter::repeat_n(Bytes::from(vec![0; MIB]), mib);
    let body = packed(zeros, FileCompressionType::ZSTD).await;
    let head = |unpacked: usize, packed: usize| {
        let mut head = vec![0x15, 0, 0x15];
        head.extend(zigzag(unpacked));
        head.push(0x15);
        head.extend(zigzag(packed));
        // One value, PLAIN, levels as runs.
        head.extend([0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0]);
        head
    };
    let mut pages = [head(mib * MIB, body.len()), body].concat();
    // What is left of the column is a page that nobody comes to.
    let rest = (length as usize).checked_sub(pages.len()).expect("there is room");
    let packed = (0..rest).rev().find(|packed| head(1, *packed).len() + packed == rest);
    pages.extend(head(1, packed.expect("there is room")));
    file[start as usize..start as usize + pages.len()].copy_from_slice(&pages);
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_half_a_gib_fails_the_job_before_it_is_unpacked() {
    let mut cluster = Cluster::with_memory(64 * MIB);
    let path = cluster.dir.path().join("data/page.parquet");
    std::fs::write(&path, parquet_page(512).await).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 2 * MIB as u64);
    let before = peak();
    let sql = "SELECT count(a), max(a) FROM t";
    let failed = failure(&mut cluster, &path, sql).await;
    assert_eq!(code(&failed), Some(ErrorCode::TooLarge), "{failed:?}");
    let said = failed.to_string();
    assert!(said.contains("unpacks to 512 MiB") && said.contains("page.parquet"), "{said}");

    // Less than what a page may have, and more than the worker.
    std::fs::write(&path, parquet_page(200).await).unwrap();
    let failed = failure(&mut cluster, &path, sql).await;
    assert!(
        matches!(&failed, Failure::OutOfMemory(text) if text.contains("pages of a Parquet file")),
        "{failed:?}"
    );
    assert!(peak() < before + 100, "{before} MiB became {}", peak());
    assert_eq!(cluster.engine.memory_used(), 0);
}
