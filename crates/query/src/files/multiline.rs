//! Whether fields of a CSV file span lines.
//!
//! A file is split at line breaks, and a line break inside quotes is no end of a row: split there, rows would be wrong, and not
//! always noticed. So before a file is split it is looked through, which costs a small part of what parsing it costs.

use std::io::{self, Read};

use datafusion::object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use futures::TryStreamExt;

use super::records::Csv;
use crate::Error;

const CHUNK_BYTES: usize = 1 << 20;

/// Whether any file that is large enough to be split has a line break inside quotes.
pub(super) async fn any(
    store: &dyn ObjectStore,
    files: impl Iterator<Item = &ObjectMeta>,
    delimiter: u8,
    split_above: u64,
) -> Result<bool, Error> {
    for file in files.filter(|file| file.size >= split_above) {
        let unreadable = |error: &dyn std::fmt::Display| Error::Internal(format!("{} cannot be read: {error}", file.location));
        let object = store.get(&file.location).await.map_err(|error| unreadable(&error))?;
        let found = match object.payload {
            GetResultPayload::File(file, _) => {
                let looked = tokio::task::spawn_blocking(move || has_multiline_field(file, delimiter)).await;
                looked
                    .map_err(|error| unreadable(&error))?
                    .map_err(|error| unreadable(&error))?
            }
            GetResultPayload::Stream(mut chunks) => {
                let mut scan = Csv::new(delimiter);
                let mut found = false;
                while let Some(chunk) = chunks.try_next().await.map_err(|error| unreadable(&error))? {
                    if scan.breaks_in_quotes(&chunk) {
                        found = true;
                        break;
                    }
                }
                found
            }
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_multiline_field(mut from: impl Read, delimiter: u8) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut scan = Csv::new(delimiter);
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(false);
        }
        if scan.breaks_in_quotes(&chunk[..read]) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_breaks_inside_quotes_count() {
        for (text, multiline) in [
            ("a,b\n1,2\n", false),
            ("a,b\n\"x\",\"y\"\n", false),
            ("a,b\n\"say \"\"hi\"\"\",2\n3,4\n", false),
            ("a,b\n\"x\ny\",2\n", true),
            ("a,b\n5\" pipe,2\n3,4\n", false),
            ("a,b\n5\" pipe,\"2\n3\"\n", true),
        ] {
            assert_eq!(has_multiline_field(text.as_bytes(), b',').unwrap(), multiline, "{text}");
        }
    }
}
