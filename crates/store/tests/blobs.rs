//! Blobs on a real disk.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use store::blob::{BlobName, BlobStore, Error, Limits};
use tempfile::TempDir;

const BLOCK: usize = 256 * 1024;

async fn open() -> (TempDir, BlobStore) {
    let directory = TempDir::new().expect("scratch directory");
    let store = BlobStore::open(directory.path()).await.expect("open");
    (directory, store)
}

fn name(name: &str) -> BlobName {
    BlobName::try_new(name).expect("valid name")
}

fn pieces(content: &[u8], size: usize) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + use<> {
    stream::iter(
        content
            .chunks(size)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect::<Vec<_>>(),
    )
}

async fn read(store: &BlobStore, blob: &BlobName) -> Result<Vec<u8>, Error> {
    let blocks: Vec<Bytes> = store.get(blob).await?.into_stream().try_collect().await?;
    Ok(blocks.concat())
}

fn file(directory: &TempDir, name: &str) -> PathBuf {
    directory.path().join("blobs").join(name)
}

fn listed(store: &BlobStore, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let page = store.list(prefix, after, limit).into_iter();
    page.map(|blob| blob.name.to_string()).collect()
}

#[tokio::test]
async fn what_was_put_is_read_whatever_its_size() {
    let (_directory, store) = open().await;
    for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 12_345] {
        let content: Vec<u8> = (0..len).map(|n| (n * 31 % 251) as u8).collect();
        let blob = name(&format!("sizes/{len}"));
        let info = store.put(&blob, pieces(&content, 70_000)).await.expect("put");
        assert_eq!((info.bytes, info.crc32c), (len as u64, crc32c::crc32c(&content)));
        assert_eq!(store.stat(&blob).await.expect("stat"), info);
        assert!(read(&store, &blob).await.expect("read") == content, "{len} bytes");
    }
}

#[tokio::test]
async fn blobs_survive_a_reopening_and_half_written_ones_do_not() {
    let (directory, store) = open().await;
    store.put(&name("a/b"), pieces(b"kept", 2)).await.expect("put");
    store.put(&name("a"), pieces(b"also", 2)).await.expect("put");
    drop(store);
    fs::write(directory.path().join("incoming/7.tmp"), b"half").expect("write");
    let store = BlobStore::open(directory.path()).await.expect("open again");
    assert_eq!(listed(&store, "", None, 10), ["a", "a/b"]);
    assert_eq!(listed(&store, "a/", None, 10), ["a/b"]);
    assert_eq!(read(&store, &name("a/b")).await.expect("read"), b"kept");
    assert_eq!(fs::read_dir(directory.path().join("incoming")).expect("directory").count(), 0);
}

#[tokio::test]
async fn a_name_holds_one_content_for_ever() {
    let (_directory, store) = open().await;
    let blob = name("x");
    let first = store.put(&blob, pieces(b"one", 3)).await.expect("put");
    assert_eq!(
        store.put(&blob, pieces(b"one", 1)).await.expect("the same content again"),
        first
    );
    assert!(matches!(store.put(&blob, pieces(b"two", 3)).await, Err(Error::Exists(_))));
    assert_eq!(read(&store, &blob).await.expect("read"), b"one");
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing() {
    let (directory, store) = open().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("reset"))]);
    let error = store.put(&name("x"), broken).await.expect_err("must fail");
    assert!(matches!(error, Error::Source { .. }), "{error}");
    assert!(matches!(store.get(&name("x")).await, Err(Error::NotFound(_))));
    assert_eq!(fs::read_dir(directory.path().join("incoming")).expect("directory").count(), 0);
}

#[tokio::test]
async fn an_abandoned_upload_leaves_nothing() {
    let (directory, store) = open().await;
    let never_ends = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]).chain(stream::pending());
    let blob = name("x");
    let upload = tokio::time::timeout(Duration::from_millis(50), store.put(&blob, never_ends));
    assert!(upload.await.is_err());
    assert_eq!(fs::read_dir(directory.path().join("incoming")).expect("directory").count(), 0);
}

#[tokio::test]
async fn no_damaged_byte_is_ever_handed_out() {
    let (directory, store) = open().await;
    let content: Vec<u8> = (0..2 * BLOCK + 100).map(|n| (n % 253) as u8).collect();
    let blob = name("x");
    store.put(&blob, pieces(&content, BLOCK)).await.expect("put");
    let whole = fs::read(file(&directory, "x")).expect("file");
    for at in (0..whole.len()).step_by(9_973).chain(whole.len() - 60..whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(file(&directory, "x"), &damaged).expect("write");
        let Ok(reader) = store.get(&blob).await else { continue };
        let mut blocks = Box::pin(reader.into_stream());
        let mut seen = Vec::new();
        let error = loop {
            match blocks.next().await {
                Some(Ok(block)) => seen.extend_from_slice(&block),
                Some(Err(error)) => break error,
                None => panic!("byte {at} was damaged and nobody noticed"),
            }
        };
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(content.starts_with(&seen), "damaged bytes were handed out");
    }
    for len in [0, 10, BLOCK, whole.len() - 1] {
        fs::write(file(&directory, "x"), &whole[..len]).expect("write");
        assert!(
            matches!(read(&store, &blob).await, Err(Error::Damaged { .. })),
            "cut to {len}"
        );
    }
}

#[tokio::test]
async fn a_deleted_blob_is_gone_but_open_readers_finish() {
    let (_directory, store) = open().await;
    let content = vec![5u8; 2 * BLOCK];
    store.put(&name("x"), pieces(&content, BLOCK)).await.expect("put");
    let reader = store.get(&name("x")).await.expect("open");
    assert!(store.delete(&name("x")).await.expect("delete"));
    assert!(!store.delete(&name("x")).await.expect("delete again"));
    assert!(matches!(store.stat(&name("x")).await, Err(Error::NotFound(_))));
    let blocks: Vec<Bytes> = reader.into_stream().try_collect().await.expect("the file is still there");
    assert!(blocks.concat() == content);
}

#[tokio::test]
async fn a_directory_serves_one_store_at_a_time() {
    let (directory, store) = open().await;
    assert!(matches!(BlobStore::open(directory.path()).await, Err(Error::InUse(_))));
    drop(store);
    BlobStore::open(directory.path()).await.expect("free again");
}

#[tokio::test]
async fn any_range_is_read_as_it_is() {
    let (_directory, store) = open().await;
    let content: Vec<u8> = (0..3 * BLOCK + 77).map(|n| (n * 7 % 251) as u8).collect();
    store.put(&name("x"), pieces(&content, BLOCK)).await.expect("put");
    let len = content.len() as u64;
    let block = BLOCK as u64;
    for (start, end) in [
        (0, 1),
        (0, len),
        (block - 1, block + 1),
        (block, 2 * block),
        (block + 5, 3 * block + 6),
        (len - 1, len),
        (len - 10, len + 10),
        (5, 5),
        (len, len + 1),
        (len + 9, len + 10),
    ] {
        let reader = store.get(&name("x")).await.expect("open");
        let blocks: Vec<Bytes> = reader.into_range(start..end).try_collect().await.expect("read");
        let expected = &content[start.min(len) as usize..end.min(len) as usize];
        assert!(blocks.concat() == expected, "{start}..{end}");
    }
}

#[tokio::test]
async fn a_full_store_refuses_and_keeps_nothing_of_it() {
    let directory = TempDir::new().expect("scratch directory");
    let limits = Limits {
        max_bytes: 3 * BLOCK as u64,
        min_free: 0,
    };
    let store = BlobStore::open_within(directory.path(), limits).await.expect("open");
    store
        .put(&name("a"), pieces(&vec![1; BLOCK], BLOCK))
        .await
        .expect("there is room");
    let refused = store.put(&name("b"), pieces(&vec![2; 2 * BLOCK], BLOCK)).await;
    assert!(matches!(refused, Err(Error::NoSpace(_))), "{refused:?}");
    assert_eq!(listed(&store, "", None, 10), ["a"]);
    assert_eq!(fs::read_dir(directory.path().join("incoming")).expect("directory").count(), 0);
    store
        .put(&name("b"), pieces(&vec![2; BLOCK], BLOCK))
        .await
        .expect("what was refused takes no room");
    assert!(store.delete(&name("a")).await.expect("delete"));
    store
        .put(&name("c"), pieces(&vec![3; BLOCK], BLOCK))
        .await
        .expect("what is deleted gives room");

    drop(store);
    let limits = Limits {
        max_bytes: 0,
        min_free: u64::MAX,
    };
    let store = BlobStore::open_within(directory.path(), limits).await.expect("open");
    let refused = store
        .put(&name("d"), pieces(b"x", 1))
        .await
        .expect_err("the disk is never that large");
    assert!(refused.to_string().contains("BLOB_MIN_FREE"), "{refused}");
}

#[tokio::test]
async fn listings_are_pages_and_totals_follow() {
    let (directory, store) = open().await;
    for n in 0..25 {
        store.put(&name(&format!("p/{n:02}")), pieces(b"xy", 2)).await.expect("put");
    }
    let mut seen = Vec::new();
    while let page @ [_, ..] = &listed(&store, "p/", seen.last().map(String::as_str), 10)[..] {
        seen.extend_from_slice(page);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
    assert_eq!(listed(&store, "p/1", Some("p/"), 3), ["p/10", "p/11", "p/12"]);
    assert_eq!(listed(&store, "q", None, 3), [""; 0]);
    assert!(store.list("", None, 100).iter().all(|blob| blob.bytes == 2));
    let totals = store.totals();
    drop(store);
    let again = BlobStore::open(directory.path()).await.expect("open again");
    assert_eq!(again.totals(), totals);
    fs::remove_file(file(&directory, "p+00")).expect("remove");
    assert!(again.stat(&name("p/00")).await.is_err());
    assert_eq!(again.totals().0, 24);
}

#[tokio::test]
async fn a_damaged_copy_is_healed_by_a_good_one_and_by_nothing_else() {
    let (directory, store) = open().await;
    let content = vec![9u8; BLOCK + 5];
    let info = store.put(&name("x"), pieces(&content, BLOCK)).await.expect("put");
    let mut bytes = fs::read(file(&directory, "x")).expect("file");
    bytes[7] ^= 1;
    fs::write(file(&directory, "x"), &bytes).expect("write");
    assert!(matches!(store.verify(&name("x")).await, Err(Error::Damaged { .. })));
    let wrong = store.heal(&info, pieces(b"other", 5)).await;
    assert!(matches!(wrong, Err(Error::Damaged { .. })), "{wrong:?}");
    store.heal(&info, pieces(&content, 1000)).await.expect("healed");
    assert_eq!(store.verify(&name("x")).await.expect("verified"), info);
}

#[tokio::test]
#[ignore = "mounts a small tmpfs, which needs root: cargo test -p store --test blobs disk -- --ignored"]
async fn a_full_disk_is_told_and_nothing_of_the_blob_stays() {
    let directory = TempDir::new().expect("scratch directory");
    let run = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program)
            .args(arguments)
            .arg(directory.path())
            .status();
        assert!(status.expect("runs").success(), "{program}");
    };
    run("mount", &["-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
    let store = BlobStore::open(directory.path()).await.expect("open");
    let refused = store
        .put(&name("large"), pieces(&vec![1; 32 * BLOCK], BLOCK))
        .await
        .expect_err("no room");
    assert!(matches!(refused, Error::NoSpace(_)), "{refused:?}");
    assert_eq!(fs::read_dir(directory.path().join("incoming")).expect("directory").count(), 0);
    store
        .put(&name("small"), pieces(&vec![1; 4 * BLOCK], BLOCK))
        .await
        .expect("there is room for less");
    drop(store);
    run("umount", &[]);
}
