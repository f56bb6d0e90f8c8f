//! No damaged file is taken for a whole one: it is skipped as a whole, and the one before it serves.

use std::fs;
use std::path::PathBuf;

use api::cache::{Lifetime, Packing};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::sample::Index;
use store::backup::{BackupDir, Error};
use tempfile::TempDir;

use crate::items::{Item, State, id, newest, open, write};

/// Bytes of the header of backup `newer`, and of every footer.
const HEADER: usize = 8 + 4 + 16 + (4 + "newer".len()) + (4 + "aux-1".len()) + (4 + 36) + 4;
const FOOTER: usize = 40;

/// A directory with an older backup, and a newer one of several blocks to be damaged.
struct Victim {
    _scratch: TempDir,
    dir: BackupDir,
    path: PathBuf,
    whole: Vec<u8>,
    older: Vec<Item>,
}

impl Victim {
    fn new() -> Self {
        let scratch = TempDir::new().expect("scratch directory");
        let dir = open(scratch.path(), 9);
        let older = vec![Item::live("k", 1, "older"), Item::deleted("gone", 2)];
        write(&dir, "older", &older).expect("write");
        let large = vec![b'x'; 1 << 20];
        let newer = [
            Item::live("k", 3, "newer"),
            Item::live("a", 4, large.as_slice()),
            Item::live("b", 5, large),
            Item::deleted("gone", 6),
        ];
        let path = write(&dir, "newer", &newer).expect("write").path;
        let whole = fs::read(&path).expect("read");
        assert_eq!(newest(&dir).1, newer);
        Self {
            _scratch: scratch,
            dir,
            path,
            whole,
            older,
        }
    }

    /// Puts other bytes in the place of the newer backup, which must not serve then.
    fn with(&self, bytes: &[u8], what: &str) {
        fs::write(&self.path, bytes).expect("write");
        let (info, items) = newest(&self.dir);
        let info = info.expect("a whole backup").expect("a backup");
        assert_eq!(info.id, id("older"), "{what}");
        assert_eq!(items, self.older, "{what}: nothing of the damaged file may be handed over");
        let error = self.dir.load(&id("newer"), |_| {}).expect_err(what);
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error}");
    }
}

#[test]
fn a_file_that_was_cut_anywhere_is_listed_as_damaged_and_the_older_one_serves() {
    let victim = Victim::new();
    for length in 0..victim.whole.len() {
        victim.with(&victim.whole[..length], &format!("cut to {length} bytes"));
        let found = victim.dir.list().unwrap();
        let reason = found[0].info.as_ref().unwrap_err().to_string();
        assert!(
            reason.contains("damaged") && found[1].info.is_ok(),
            "{length} bytes: {reason}"
        );
    }
}

#[test]
fn a_flip_of_any_byte_is_found_and_the_older_one_serves() {
    let victim = Victim::new();
    for at in 0..victim.whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = victim.whole.clone();
            bytes[at] ^= flip;
            victim.with(&bytes, &format!("byte {at} ^ {flip:#x}"));
            if !(HEADER..victim.whole.len() - FOOTER).contains(&at) {
                assert!(
                    victim.dir.list().unwrap()[0].info.is_err(),
                    "byte {at} ^ {flip:#x} is listed as whole"
                );
            }
        }
    }
}

#[test]
fn pieces_of_whole_files_do_not_make_another() {
    let victim = Victim::new();
    let whole = &victim.whole;
    victim.with(&[&whole[..], &[0]].concat(), "a byte was appended");
    victim.with(&[&whole[..], &whole[..]].concat(), "it is there twice");
    assert!(
        victim.dir.list().unwrap()[0].info.is_err(),
        "its length is not the one written"
    );
    // Both large values pack to the same length; their blocks begin with lengths and differ in the checksums.
    let u32_at = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    let first = HEADER;
    let second = first + 16 + u32_at(first + 4);
    let third = second + 16 + u32_at(second + 4);
    assert!(third + 16 + u32_at(third + 4) == whole.len() - FOOTER, "three blocks");
    let blocks = [
        &whole[first..second],
        &whole[second..third],
        &whole[third..whole.len() - FOOTER],
    ];
    let (header, footer) = (&whole[..first], &whole[whole.len() - FOOTER..]);
    victim.with(
        &[header, blocks[1], blocks[0], blocks[2], footer].concat(),
        "two blocks are swapped",
    );
    victim.with(&[header, blocks[0], blocks[2], footer].concat(), "a block is missing");
    let older = fs::read(&victim.dir.list().unwrap()[1].path).unwrap();
    victim.with(&older, "it is another backup under its name");
}

#[test]
fn when_none_is_whole_the_error_says_so() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 9);
    assert!(matches!(newest(&dir).0, Ok(None)));
    for name in ["one", "two"] {
        fs::write(write(&dir, name, &[]).unwrap().path, "").unwrap();
    }
    let (info, items) = newest(&dir);
    assert!(matches!(info, Err(Error::NoneWhole { count: 2, .. })), "{info:?}");
    assert_eq!(items, []);
}

#[test]
fn arbitrary_bytes_are_no_backup() {
    let victim = Victim::new();
    let edits = vec((any::<Index>(), any::<Index>(), any::<Index>()), 1..6);
    proptest!(ProptestConfig::with_cases(400), |(bytes in vec(any::<u8>(), 0..600), edits in edits)| {
        victim.with(&bytes, "arbitrary bytes");
        // Parts of a whole file over other parts of it: many fields stay plausible.
        let mut stirred = victim.whole.clone();
        for (from, to, length) in edits {
            let (from, to) = (from.index(stirred.len()), to.index(stirred.len()));
            let length = length.index(stirred.len() - from.max(to));
            stirred.copy_within(from..from + length, to);
        }
        if stirred != victim.whole {
            victim.with(&stirred, "a file that was stirred");
        }
    });
    fs::write(&victim.path, &victim.whole).unwrap();
    assert!(victim.dir.load(&id("newer"), |_| {}).is_ok());
}

/// Made by hand from the module's documentation, in frames of RFC 8878 that do not compress: header, two blocks, footer.
const GOLDEN: &str = "\
    45434241434b555001000000070000000000000000e897b69a01000006000000676f6c64656e050000006175782d31240000003662316630\
    6336342d376331652d346630612d396135352d30643363316632653462356147551850\
    740000007d0000008ec45271258a4fce28b52ffd2074a10300050000000000000000000000010000006b0100010000000000000000000000\
    00000000000a000000746578742f706c61696e0500000068656c6c6f0600000000000000020000006e7302000000c3bc0101000a00000000\
    0000001400000000000000000000000a000000050000005068656c6c6f\
    1e000000270000008a2213904ca774c028b52ffd201ef1000009000000000000000000000004000000676f6e6500ffe797b69a01000001\
    4543424b50454e44020000000000000001000000000000004701000000000000166331ccacbd2c0b";

#[test]
fn a_file_of_format_1_stays_readable() {
    let bytes: Vec<u8> = GOLDEN
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect();
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().canonicalize().unwrap().join("000041-golden.backup");
    fs::write(&path, &bytes).unwrap();
    let dir = open(scratch.path(), 9);
    let (info, items) = newest(&dir);
    let mut packed = Item::live("ü", 6, b"\x05\0\0\0\x50hello");
    packed.namespace = "ns".to_owned();
    if let State::Live {
        content_type,
        packing,
        lifetime,
        created,
        ..
    } = &mut packed.state
    {
        *lifetime = Lifetime {
            fresh_until_ms: 10,
            expires_at_ms: 20,
        };
        (*packing, *created) = (Packing::Lz4, false);
        content_type.clear();
    }
    let items_then = [Item::live("k", 5, "hello"), packed, Item::deleted("gone", 9)];
    assert_eq!(items, items_then);
    let info = info.unwrap().unwrap();
    assert_eq!((info.bytes, &info.path), (bytes.len() as u64, &path));

    // What is written now differs in nothing but how zstd packs, and comes after it.
    let again = write(&dir, "again", &items_then).unwrap();
    assert_eq!(again.path.file_name().unwrap(), "000042-again.backup");
    let rest = |info: store::backup::BackupInfo| {
        (
            info.node,
            info.boot_id,
            info.epoch,
            info.made_at_ms,
            info.entries,
            info.tombstones,
        )
    };
    assert_eq!(rest(again), rest(info));
}
