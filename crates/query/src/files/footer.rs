//! Whether a Parquet file can have the footer it says it has.
//!
//! The reader subtracts the footer's length from the file's before it looks at either, and panics on a file that was cut off or
//! is something else: a user's mistake would look like a broken worker.

use datafusion::object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::Error;

const MAGIC: &[u8] = b"PAR1";
/// Length and magic, at the very end.
const TAIL_BYTES: u64 = 8;

/// Looks at the end of a file that is not empty. `name` is the file's for people.
pub(super) async fn check(store: &dyn ObjectStore, meta: &ObjectMeta, name: &str) -> Result<(), Error> {
    let foreign = || Error::Invalid(format!("{name} is no Parquet file: it does not end as one"));
    let before = meta.size.checked_sub(TAIL_BYTES).ok_or_else(foreign)?;
    let tail = store.get_range(&meta.location, before..meta.size).await;
    let tail = tail.map_err(|error| Error::Internal(format!("{name} cannot be read: {error}")))?;
    let (length, magic) = tail.split_at_checked(MAGIC.len()).ok_or_else(foreign)?;
    if magic != MAGIC {
        return Err(foreign());
    }
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
    // The file begins with the magic too.
    if length.checked_add(MAGIC.len() as u64).is_some_and(|needed| needed <= before) {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "{name} is damaged: its footer would be longer than the file"
        )))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::memory::InMemory;
    use datafusion::object_store::path::Path;

    use super::*;

    async fn checked(content: &'static [u8]) -> Result<(), Error> {
        let (store, path) = (InMemory::new(), Path::from("x.parquet"));
        store.put(&path, content.into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        check(&store, &meta, "x.parquet").await
    }

    #[tokio::test]
    async fn only_files_with_room_for_their_footer_pass() {
        checked(b"PAR1footer\x06\0\0\0PAR1").await.unwrap();
        for foreign in [&b"PAR1"[..], b"a,b\n1,2\n3,4\n", b"PAR1footer\x06\0\0\0PAR"] {
            let error = checked(foreign).await.unwrap_err().to_string();
            assert!(error.contains("no Parquet file"), "{foreign:?}: {error}");
        }
        for damaged in [
            &b"PAR1foote\x06\0\0\0PAR1"[..],
            b"PAR1 not really PAR1",
            b"\xff\xff\xff\xffPAR1",
        ] {
            let error = checked(damaged).await.unwrap_err().to_string();
            assert!(error.contains("damaged"), "{damaged:?}: {error}");
        }
    }
}
