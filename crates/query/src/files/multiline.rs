//! Whether fields of a CSV file span lines.
//!
//! A file is split at line breaks, and a line break inside quotes is no end of a row: split there, rows would be wrong, and not
//! always noticed. So before a file is split it is looked through, which costs a small part of what parsing it costs.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

const CHUNK_BYTES: usize = 1 << 20;

/// Whether any file that is large enough to be split has a line break inside quotes. A stray quote counts as one that opens:
/// the file is then read by one task, which is slower and never wrong.
pub(super) fn any(files: &[PathBuf], split_above: u64) -> io::Result<bool> {
    for path in files {
        let file = File::open(path)?;
        if file.metadata()?.len() >= split_above && has_multiline_field(file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_multiline_field(mut from: impl Read) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut quoted = false;
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(false);
        }
        for byte in &chunk[..read] {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' if quoted => return Ok(true),
                _ => {}
            }
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
            ("a,b\n5\" pipe,2\n3,4\n", true),
        ] {
            assert_eq!(has_multiline_field(text.as_bytes()).unwrap(), multiline, "{text}");
        }
    }
}
