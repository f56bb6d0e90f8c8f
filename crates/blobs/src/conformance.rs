//! What every engine does, whatever is behind it. Each check uses names of its own, so that all may run on one store.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt};

use crate::{BlobStore, ByteStream, Content, Error, as_object_store};

/// Runs everything on an empty store.
///
/// # Panics
/// When the store does something else than it should.
pub async fn check_all(store: Arc<dyn BlobStore>) {
    what_was_put_is_read(&*store).await;
    any_range_is_read_as_it_is(&*store).await;
    a_name_holds_one_content(&*store).await;
    a_broken_source_leaves_nothing(&*store).await;
    what_is_not_there_is_not_found(&*store).await;
    listings_are_in_order_and_whole(&*store).await;
    files_are_sent_as_they_are(&*store).await;
    an_object_store_reads_the_same(store).await;
}

/// Bytes that differ from place to place.
#[must_use]
pub fn content(bytes: usize) -> Bytes {
    let mut state = bytes as u64 + 1;
    let mut content = Vec::with_capacity(bytes);
    while content.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes()[..8.min(bytes - content.len())]);
    }
    content.into()
}

/// A content in pieces.
#[must_use]
pub fn pieces(content: Bytes, size: usize) -> Content {
    let count = content.len().div_ceil(size);
    let pieces = (0..count).map(move |n| Ok(content.slice(n * size..((n + 1) * size).min(content.len()))));
    Content::Stream(stream::iter(pieces).boxed())
}

/// All of a content.
///
/// # Errors
/// When it breaks off.
pub async fn whole(content: ByteStream) -> crate::Result<Vec<u8>> {
    let pieces: Vec<Bytes> = content.try_collect().await?;
    Ok(pieces.concat())
}

async fn what_was_put_is_read(store: &dyn BlobStore) {
    for bytes in [0, 1, 70_000, 262_144, 5_000_001, 40_000_000] {
        let name = format!("sizes/{bytes}");
        let written = content(bytes);
        let info = store.put(&name, pieces(written.clone(), 100_000)).await.expect("put");
        assert_eq!((info.name.as_str(), info.bytes), (name.as_str(), bytes as u64));
        assert_eq!(info.crc32c, Some(crc32c::crc32c(&written)));
        assert_eq!(store.stat(&name).await.expect("stat").bytes, bytes as u64);
        let (info, read) = store.get(&name, None).await.expect("get");
        assert_eq!(info.bytes, bytes as u64);
        assert!(whole(read).await.expect("read") == written, "{bytes} bytes");
    }
}

async fn any_range_is_read_as_it_is(store: &dyn BlobStore) {
    let written = content(1_000_000);
    store.put("ranges/x", Content::bytes(written.clone())).await.expect("put");
    for (start, end) in [
        (0, 1),
        (0, 1_000_000),
        (262_143, 262_145),
        (999_999, 1_000_000),
        (5, 5),
        (900_000, 2_000_000),
    ] {
        let (info, read) = store.get("ranges/x", Some(start..end)).await.expect("get");
        assert_eq!(info.bytes, 1_000_000);
        let expected = &written[start as usize..end.min(1_000_000) as usize];
        assert!(whole(read).await.expect("read") == expected, "{start}..{end}");
    }
    let beyond = store.get("ranges/x", Some(1_000_000..1_000_001)).await.err();
    assert!(matches!(beyond, Some(Error::Range { bytes: 1_000_000, .. })), "{beyond:?}");
}

async fn a_name_holds_one_content(store: &dyn BlobStore) {
    for bytes in [1_000, 20_000_000] {
        let name = format!("once/{bytes}");
        let first = store.put(&name, Content::bytes(content(bytes))).await.expect("put");
        let again = store
            .put(&name, pieces(content(bytes), 50_000))
            .await
            .expect("the same again");
        assert_eq!(first, again);
        for other in [content(bytes - 1), content(bytes + 1), Bytes::from(vec![7; bytes])] {
            let refused = store.put(&name, Content::bytes(other)).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        }
        let (_, read) = store.get(&name, None).await.expect("get");
        assert!(whole(read).await.expect("read") == content(bytes));
    }
}

async fn a_broken_source_leaves_nothing(store: &dyn BlobStore) {
    for good in [1, 300] {
        let broken = stream::repeat_with(|| Ok(Bytes::from(vec![3; 100_000]))).take(good);
        let broken = broken.chain(stream::once(async { Err(io::Error::other("the client has gone")) }));
        let refused = store.put("broken/x", Content::Stream(broken.boxed())).await;
        assert!(matches!(refused, Err(Error::Source { .. })), "{refused:?}");
        let stat = store.stat("broken/x").await;
        assert!(matches!(stat, Err(Error::NotFound(_))), "{stat:?}");
    }
    store
        .put("broken/x", Content::bytes("whole"))
        .await
        .expect("the name is free");
}

async fn what_is_not_there_is_not_found(store: &dyn BlobStore) {
    assert!(matches!(store.stat("none/x").await, Err(Error::NotFound(_))));
    assert!(matches!(store.get("none/x", None).await, Err(Error::NotFound(_))));
    assert!(matches!(store.get("none/x", Some(0..1)).await, Err(Error::NotFound(_))));
    assert!(!store.delete("none/x").await.expect("nothing to delete"));
    store.put("none/y", Content::bytes("x")).await.expect("put");
    assert!(store.delete("none/y").await.expect("delete"));
    assert!(!store.delete("none/y").await.expect("delete again"));
    assert!(matches!(store.stat("none/y").await, Err(Error::NotFound(_))));
    for name in ["", "/a", "a//b", "../x", "a b", "ü"] {
        assert!(matches!(store.stat(name).await, Err(Error::Invalid(_))), "{name:?}");
        assert!(
            matches!(store.put(name, Content::bytes("x")).await, Err(Error::Invalid(_))),
            "{name:?}"
        );
    }
}

async fn listings_are_in_order_and_whole(store: &dyn BlobStore) {
    for n in 0..30 {
        store
            .put(&format!("list/a{n:02}"), Content::bytes(content(n)))
            .await
            .expect("put");
    }
    store.put("list/a/deep/x", Content::bytes("x")).await.expect("put");
    store.put("listed", Content::bytes("x")).await.expect("put");
    let list = async |prefix: &str| -> Vec<(String, u64)> {
        let listed = store.list(prefix).map_ok(|info| (info.name, info.bytes));
        listed.try_collect().await.expect("list")
    };
    let all = list("list/").await;
    assert_eq!(all.len(), 31);
    assert!(all.is_sorted());
    let some: Vec<_> = (20..30).map(|n| (format!("list/a{n}"), n)).collect();
    assert_eq!(list("list/a2").await, some);
    assert_eq!(list("nothing/").await, []);
}

async fn files_are_sent_as_they_are(store: &dyn BlobStore) {
    let file = std::env::temp_dir().join(format!("blob-{}", std::process::id()));
    std::fs::write(&file, content(600_000)).expect("scratch file");
    let info = store.put("files/x", Content::File(file.clone())).await.expect("put");
    assert_eq!(info.bytes, 600_000);
    std::fs::remove_file(&file).expect("scratch file");
    let missing = store.put("files/y", Content::File(file)).await;
    assert!(matches!(missing, Err(Error::Source { .. })), "{missing:?}");
}

async fn an_object_store_reads_the_same(blobs: Arc<dyn BlobStore>) {
    let written = content(500_000);
    blobs
        .put("adapter/year=2026/x.parquet", Content::bytes(written.clone()))
        .await
        .expect("put");
    let store = as_object_store(blobs);
    let path = Path::from("adapter/year=2026/x.parquet");
    let meta = store.head(&path).await.expect("head");
    assert_eq!((meta.size, &meta.location), (500_000, &path));
    assert!(store.get(&path).await.expect("get").bytes().await.expect("read") == written);
    let ranges = store.get_ranges(&path, &[0..4, 499_000..500_000]).await.expect("ranges");
    assert!(ranges[0] == written[..4] && ranges[1] == written[499_000..]);
    let options = GetOptions::new().with_range(Some(GetRange::Suffix(8)));
    let end = store.get_opts(&path, options).await.expect("the end");
    assert_eq!(end.range, 499_992..500_000);
    assert!(end.bytes().await.expect("read") == written[499_992..]);
    let below: Vec<_> = store.list(Some(&Path::from("adapter"))).try_collect().await.expect("list");
    assert_eq!(below.len(), 1);
    let here = store.list_with_delimiter(Some(&Path::from("adapter"))).await.expect("list");
    assert_eq!(
        (here.objects.len(), here.common_prefixes),
        (0, vec![Path::from("adapter/year=2026")])
    );
    let missing = store.head(&Path::from("adapter/none")).await;
    assert!(matches!(missing, Err(object_store::Error::NotFound { .. })), "{missing:?}");
    let refused = store.put(&path, "x".into()).await;
    assert!(
        matches!(refused, Err(object_store::Error::NotSupported { .. })),
        "{refused:?}"
    );
}
