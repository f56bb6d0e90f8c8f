//! Values that say which write they are.

use super::{Found, Key};

/// Bytes of most values' padding.
const SMALL: usize = 80;
/// Bytes of a few values' padding: over the threshold of compression, and several pages of a sync.
const LARGE: usize = 6_000;
/// One write in so many has a large value.
const LARGE_EVERY: u32 = 16;

/// The value of a write. No two writes have the same, whatever their keys.
pub(super) fn value(key: Key, write: u32) -> String {
    let mut text = format!("{key}={write};");
    let mix = write.wrapping_mul(0x9e37_79b9);
    let padding = if write % LARGE_EVERY == LARGE_EVERY - 1 {
        LARGE
    } else {
        SMALL
    };
    let length = text.len() + mix as usize % padding;
    let word = format!("{mix:08x}-");
    while text.len() < length {
        text.push_str(&word);
    }
    text
}

/// The write whose value this is.
pub(super) fn found(key: Key, bytes: &[u8]) -> Found {
    let text = String::from_utf8_lossy(bytes);
    let write = text
        .split_once(';')
        .and_then(|(head, _)| head.rsplit_once('=')?.1.parse::<u32>().ok());
    match write {
        Some(write) if value(key, write) == text => Found::Write(write),
        _ => Found::Foreign(text.chars().take(60).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_names_its_write_and_nothing_else_does() {
        let key = Key::Own { client: 3, number: 7 };
        for write in 1..200 {
            assert_eq!(found(key, value(key, write).as_bytes()), Found::Write(write));
        }
        let mut short = value(key, 15).into_bytes();
        short.pop();
        let other = value(Key::Own { client: 3, number: 8 }, 15);
        for foreign in [short.as_slice(), other.as_bytes(), b"", b"client-3-7=1;", b"\xff\xfe"] {
            assert!(matches!(found(key, foreign), Found::Foreign(_)), "{foreign:?}");
        }
    }
}
