//! The heads of Parquet pages: how much each unpacks to, told before anything is unpacked.
//!
//! The reader makes room for whatever a head says, up to 2 GiB, and keeps its own idea of heads to itself; so they are read here once more.
//! Strictly: fields in their order and of their types, as every writer writes them, since a head that the two read differently would pass
//! unseen. The form is Thrift's compact protocol.

use std::ops::Range;

/// Deepest nesting of what is skipped.
const MAX_DEPTH: u32 = 16;

/// Types of fields.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// The head of a page, itself.
const HEAD: i16 = 0;
/// Fields of a head that are structures.
const DATA: i16 = 5;
const DICTIONARY: i16 = 7;
const DATA_V2: i16 = 8;
/// Any other structure.
const OTHER: i16 = -1;
/// The type of a page that has a dictionary.
const DICTIONARY_PAGE: i32 = 2;

/// What a page says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) is_dictionary: bool,
    /// Bytes when unpacked.
    pub(super) unpacked: usize,
}

/// A head that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// The pages of a part of a column, one after the other.
pub(super) struct Pages<'a>(&'a [u8]);

impl<'a> Pages<'a> {
    /// Of bytes that begin with a page.
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn read(&mut self) -> Option<Page> {
        let mut cursor = Cursor(self.0);
        let [kind, unpacked, packed] = cursor.head()?;
        let behind = cursor.0.get(usize::try_from(packed).ok()?..)?;
        self.0 = behind;
        Some(Page {
            is_dictionary: kind == DICTIONARY_PAGE,
            unpacked: usize::try_from(unpacked).ok()?,
        })
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Page, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let page = self.read().ok_or(Damaged);
        if page.is_err() {
            self.0 = &[];
        }
        Some(page)
    }
}

/// What is left to read. Nothing here fails otherwise than by having no answer.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Type, unpacked and packed size.
    fn head(&mut self) -> Option<[i32; 3]> {
        let mut found = [None; 3];
        self.fields(HEAD, MAX_DEPTH, &mut |id, value| {
            if let Some(place) = usize::try_from(id - 1).ok().and_then(|at| found.get_mut(at)) {
                *place = Some(value);
            }
        })?;
        let [kind, unpacked, packed] = found;
        Some([kind?, unpacked?, packed?])
    }

    /// Reads a structure to its end, and tells its numbers.
    fn fields(&mut self, of: i16, depth: u32, tell: &mut dyn FnMut(i16, i32)) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut last = 0;
        loop {
            let byte = self.byte()?;
            let (delta, kind) = (i16::from(byte >> 4), byte & 0xf);
            if kind == 0 {
                return Some(());
            }
            let id = match delta {
                0 => i16::try_from(self.zigzag()?).ok()?,
                delta => i16::checked_add(last, delta)?,
            };
            if id <= last || !fits(of, id, kind) {
                return None;
            }
            last = id;
            match (of, kind) {
                (_, TRUE | FALSE) => {}
                (_, I32) => tell(id, self.zigzag()? as i32),
                (HEAD, STRUCT) => self.fields(id, depth, &mut |_, _| {})?,
                _ => self.skip(kind, depth)?,
            }
        }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.number().map(drop),
            DOUBLE => self.bytes(8),
            UUID => self.bytes(16),
            BINARY => {
                let length = self.number()?;
                self.bytes(usize::try_from(length).ok()?)
            }
            LIST | SET => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.number()?,
                    few => u64::from(few),
                };
                self.skip_all(count, &[byte & 0xf], depth)
            }
            MAP => match self.number()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.skip_all(count, &[kinds >> 4, kinds & 0xf], depth)
                }
            },
            STRUCT => self.fields(OTHER, depth, &mut |_, _| {}),
            _ => None,
        }
    }

    fn skip_all(&mut self, count: u64, kinds: &[u8], depth: u32) -> Option<()> {
        // These take no bytes, however many they are said to be.
        if kinds.iter().all(|kind| matches!(*kind, TRUE | FALSE)) {
            return Some(());
        }
        (count <= self.0.len() as u64).then_some(())?;
        (0..count).try_for_each(|_| kinds.iter().try_for_each(|kind| self.skip(*kind, depth)))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        const SHIFTS: Range<u32> = 0..10;
        let mut number = 0;
        for at in SHIFTS {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// With the sign in the lowest bit.
    fn zigzag(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

/// Whether a field has the type that the format gives it; what is not known is skipped by everybody alike.
const fn fits(of: i16, id: i16, kind: u8) -> bool {
    match (of, id) {
        (HEAD, 1..=4) | (DATA, 1..=4) | (DICTIONARY, 1..=2) | (DATA_V2, 1..=6) => kind == I32,
        (HEAD, 5..=8) | (DATA, 5) | (DATA_V2, 8) => kind == STRUCT,
        (DICTIONARY, 3) | (DATA_V2, 7) => matches!(kind, TRUE | FALSE),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use proptest::prelude::*;

    use super::*;

    fn zigzag(number: i32) -> Vec<u8> {
        let mut rest = ((number << 1) ^ (number >> 31)) as u32;
        let mut bytes = Vec::new();
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    fn head(kind: i32, unpacked: i32, packed: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [kind, unpacked, packed] {
            bytes.push(0x15);
            bytes.extend(zigzag(number));
        }
        bytes
    }

    #[test]
    fn heads_say_what_they_unpack_to() {
        let mut two = head(2, 1 << 30, 3);
        two.extend([0, b'x', b'y', b'z']);
        two.extend(head(0, 5, 0));
        // The head of the data: four numbers, and something that nobody knows.
        two.extend([0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0x48, 1, b'?', 0, 0]);
        let pages: Vec<_> = Pages::of(&two).collect();
        let page = |is_dictionary, unpacked| Ok(Page { is_dictionary, unpacked });
        assert_eq!(pages, [page(true, 1 << 30), page(false, 5)]);
    }

    #[test]
    fn what_could_be_read_otherwise_is_damaged() {
        let with = |tail: &[u8]| [&head(0, 5, 0)[..], tail].concat();
        for wrong in [
            // Nothing more; a negative size; more than there is.
            head(0, 5, 0),
            [&head(0, -1, 0)[..], &[0]].concat(),
            [&head(0, 5, 9)[..], &[0, 1, 2]].concat(),
            // Another type; a field twice; one before another.
            vec![0x15, 0, 0x16, 10, 0x15, 0, 0],
            with(&[0x05, 4, 10, 0]),
            with(&[0x2c, 0x18, 1, b'x', 0, 0]),
            // A text, a list, a number without an end; nesting without one.
            with(&[0x98, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            with(&[0x99, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            with(&[0x96, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            with(&[0x9c; 100]),
        ] {
            assert_eq!(Pages::of(&wrong).next(), Some(Err(Damaged)), "{wrong:?}");
        }
        assert_eq!(Pages::of(&with(&[0])).count(), 1);
        assert_eq!(Pages::of(&[]).next(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(
            start in prop_oneof![Just(Vec::new()), (any::<i32>(), 0..100_i32).prop_map(|(unpacked, packed)| head(0, unpacked, packed))],
            rest in proptest::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..200),
        ) {
            let bytes = [start, rest].concat();
            prop_assert!(Pages::of(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn what_is_written_is_read_to_its_end() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..20_000).map(|n| (n % 7 > 0).then_some(n))));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..20_000).map(|n| format!("text {}", n % 100)),
        ));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for compression in [
                Compression::UNCOMPRESSED,
                Compression::SNAPPY,
                Compression::ZSTD(ZstdLevel::default()),
            ] {
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_compression(compression)
                    .set_data_page_size_limit(4096)
                    .build();
                let mut file = Vec::new();
                let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
                writer.write(&batch).unwrap();
                writer.close().unwrap();
                let reader = SerializedFileReader::new(Bytes::from(file.clone())).unwrap();
                for column in reader.metadata().row_group(0).columns() {
                    let (start, length) = column.byte_range();
                    let chunk = &file[start as usize..(start + length) as usize];
                    let pages: Vec<Page> = Pages::of(chunk).map(Result::unwrap).collect();
                    assert!(pages.len() > 2 && pages[0].is_dictionary, "{pages:?}");
                    let unpacked: usize = pages.iter().map(|page| page.unpacked).sum();
                    // The figure of the footer has the heads too.
                    assert!(
                        unpacked as i64 <= column.uncompressed_size(),
                        "{unpacked} {}",
                        column.uncompressed_size()
                    );
                    assert!(unpacked as i64 * 2 > column.uncompressed_size());
                }
            }
        }
    }
}
