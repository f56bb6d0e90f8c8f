//! Whether fields of a CSV file span lines.
//!
//! A file is split at line breaks, and a line break inside quotes is no end of a row: split there, rows would be wrong, and not
//! always noticed. So before a file is split it is looked through, which costs a small part of what parsing it costs.

use std::io::{self, Read};

use datafusion::object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use futures::TryStreamExt;

use crate::Error;

const CHUNK_BYTES: usize = 1 << 20;

/// Whether any file that is large enough to be split has a line break inside quotes. A stray quote counts as one that opens:
/// the file is then read by one task, which is slower and never wrong.
pub(super) async fn any(
    store: &dyn ObjectStore,
    files: impl Iterator<Item = &ObjectMeta>,
    split_above: u64,
) -> Result<bool, Error> {
    for file in files.filter(|file| file.size >= split_above) {
        let unreadable = |error: &dyn std::fmt::Display| Error::Internal(format!("{} cannot be read: {error}", file.location));
        let object = store.get(&file.location).await.map_err(|error| unreadable(&error))?;
        let found = match object.payload {
            GetResultPayload::File(file, _) => {
                let looked = tokio::task::spawn_blocking(move || has_multiline_field(file)).await;
                looked
                    .map_err(|error| unreadable(&error))?
                    .map_err(|error| unreadable(&error))?
            }
            GetResultPayload::Stream(mut chunks) => {
                let mut scan = Scan::default();
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

fn has_multiline_field(mut from: impl Read) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut scan = Scan::default();
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

/// Where the scan stands between two chunks.
#[derive(Default)]
struct Scan {
    quoted: bool,
}

impl Scan {
    fn breaks_in_quotes(&mut self, chunk: &[u8]) -> bool {
        for byte in chunk {
            match byte {
                b'"' => self.quoted = !self.quoted,
                b'\n' if self.quoted => return true,
                _ => {}
            }
        }
        false
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
            ("a,b\n5\" pipe,2\n3,4\n", true),
        ] {
            assert_eq!(has_multiline_field(text.as_bytes()).unwrap(), multiline, "{text}");
        }
    }
}
