//! Values that say which write they are.

use fastrand::Rng;

use super::{Found, Key};

/// Most bytes of most values' padding.
const SMALL: usize = 120;
/// Most bytes of some values' padding: over the threshold of compression, and several pages of a sync.
const LARGE: usize = 6_000;
/// One write in so many has a large value.
const LARGE_EVERY: u64 = 16;

/// The value of a write. No two writes have the same, whatever their keys.
pub(super) fn value(key: Key, write: u32) -> String {
    let mut text = format!("{key}={write};");
    let mut rng = Rng::with_seed(u64::from(write) << 32 | seed(key));
    let most = if rng.u64(..LARGE_EVERY) == 0 { LARGE } else { SMALL };
    let length = text.len() + rng.usize(..most);
    // Half of them can be compressed, half of them cannot.
    let word = rng.bool().then(|| rng.alphanumeric());
    while text.len() < length {
        text.push(word.unwrap_or_else(|| rng.alphanumeric()));
    }
    text
}

fn seed(key: Key) -> u64 {
    match key {
        Key::Own { client, number } => u64::from(client) << 16 | u64::from(number),
        Key::Probe(number) | Key::Counter(number) => u64::from(u32::MAX - u32::from(number)),
    }
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
        let longest = (1..200).max_by_key(|write| value(key, *write).len()).unwrap();
        let mut short = value(key, longest).into_bytes();
        assert!(short.len() > 1_000, "some are large");
        short.pop();
        let other = value(Key::Own { client: 3, number: 8 }, 15);
        for foreign in [short.as_slice(), other.as_bytes(), b"", b"client-3-7=1;", b"\xff\xfe"] {
            assert!(matches!(found(key, foreign), Found::Foreign(_)), "{foreign:?}");
        }
    }
}
