//! What stands between a text and the decoder that reads it: no record may be longer than a limit, and what the decoder holds
//! is taken from the memory pool.
//!
//! A decoder holds a batch of rows, as text and then as columns, and asks nobody whether there is room: one record of 512 MiB,
//! or 8,192 of 10 MiB, would take the memory of a worker from outside its pool. Compressed a thousand times, such a file is small.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use memchr::{memchr, memchr_iter};

use super::records::{Framing, MAX_DEPTH, Records, TooDeep};
use crate::Error;

/// Longest record of a text file.
pub(crate) const MAX_RECORD_BYTES: usize = 16 << 20;
/// Most columns of a text file: their description is in memory many times over.
pub(super) const MAX_COLUMNS: usize = 16_384;

/// What a batch may cost before it is counted: as other buffers of the engine, it is not worth it.
pub(super) const FREE_BYTES: usize = 16 << 20;
/// Text whose cost is that of one batch, although it may be of two.
const STEP_BYTES: usize = 64 << 10;
/// A text is held once as it is, and once in columns.
const COST_OF_BYTE: usize = 2;
/// Each field has an offset, or a word on the tape, and a place in a column.
const COST_OF_FIELD: usize = 24;
/// While columns are told, each value is one on the heap, in a map.
const COST_OF_VALUE: usize = 256;

/// Looks at a text before its decoder does.
#[derive(Debug)]
pub(super) struct Guard {
    framing: Framing,
    records: Records,
    /// Up to the first line break nothing counts: the reader of a part of a file skips it.
    skips: bool,
    /// The first record, whose fields are the columns, has not ended.
    first: bool,
    fields: usize,
    /// Bytes of the record so far.
    record: usize,
    rows: usize,
    batch_rows: usize,
    cost_of_field: usize,
    /// Cost of the batch that is being made, and of the one before, which may still be around.
    batch: usize,
    previous: usize,
    reserved: MemoryReservation,
}

/// Why a text is not read on.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is the text's fault.
    Text(Error),
    /// There is no room.
    Memory(DataFusionError),
}

impl Guard {
    /// For a decoder that makes batches of so many rows; `skips` when it begins behind the first line break.
    pub(super) fn new(framing: Framing, batch_rows: usize, skips: bool, pool: &Arc<dyn MemoryPool>) -> Self {
        Self {
            framing,
            records: Records::of(framing),
            skips,
            first: !skips,
            fields: 1,
            record: 0,
            rows: 0,
            batch_rows: batch_rows.max(1),
            cost_of_field: COST_OF_FIELD,
            batch: 0,
            previous: 0,
            reserved: MemoryConsumer::new("rows of a text file").register(pool),
        }
    }

    /// For telling the columns, which looks at one record at a time, and of JSON makes more.
    pub(super) fn of_columns(framing: Framing, pool: &Arc<dyn MemoryPool>) -> Self {
        Self {
            cost_of_field: match framing {
                Framing::Csv(_) => COST_OF_FIELD,
                Framing::Json => COST_OF_VALUE,
            },
            ..Self::new(framing, 1, false, pool)
        }
    }

    /// Lets a piece of the text through, or not.
    pub(super) fn pass(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        piece.chunks(STEP_BYTES).try_for_each(|step| self.step(step))
    }

    /// Nothing is held for now.
    pub(super) fn rest(&self) {
        self.reserved.free();
    }

    /// Rows so far.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    fn step(&mut self, step: &[u8]) -> Result<(), Refusal> {
        let mut rest = step;
        if self.skips {
            let Some(end) = memchr(b'\n', rest) else { return Ok(()) };
            self.skips = false;
            rest = &rest[end + 1..];
        }
        let cost = cost(self.framing, rest, self.cost_of_field);
        self.batch += cost;
        while let Some(end) = self.records.next_end(rest).map_err(|TooDeep| too_deep())? {
            let (record, behind) = rest.split_at(end.bytes);
            self.grow(record)?;
            // An empty line is one byte that ends it.
            if end.row && self.record > 1 {
                self.first = false;
                self.rows += 1;
                if self.rows.is_multiple_of(self.batch_rows) {
                    (self.previous, self.batch) = (self.batch, cost);
                }
            }
            self.record = 0;
            rest = behind;
        }
        self.grow(rest)?;
        let wanted = self.batch.max(self.previous).saturating_sub(FREE_BYTES);
        if wanted != self.reserved.size() {
            self.reserved.try_resize(wanted).map_err(Refusal::Memory)?;
        }
        Ok(())
    }

    /// Whether what was let through ends with a record.
    pub(super) const fn is_between_records(&self) -> bool {
        self.record == 0
    }

    fn grow(&mut self, part: &[u8]) -> Result<(), Refusal> {
        self.record += part.len();
        if self.record > MAX_RECORD_BYTES {
            return Err(Refusal::Text(Error::TooLarge(format!(
                "record {} of the file is longer than {} MiB, the longest that is read: write it as several rows, or as Parquet",
                self.rows + 1,
                MAX_RECORD_BYTES >> 20
            ))));
        }
        if let (true, Framing::Csv(delimiter)) = (self.first, self.framing) {
            self.fields += memchr_iter(delimiter, part).count();
            if self.fields > MAX_COLUMNS {
                return Err(Refusal::Text(too_many_columns()));
            }
        }
        Ok(())
    }
}

/// What a text costs its decoder, at most.
pub(super) fn cost(framing: Framing, text: &[u8], cost_of_field: usize) -> usize {
    let count = |byte: u8| memchr_iter(byte, text).count();
    let fields = match framing {
        Framing::Csv(delimiter) => count(delimiter) + count(b'\n'),
        Framing::Json => count(b',') + count(b':') + count(b'[') + count(b'{'),
    };
    text.len() * COST_OF_BYTE + fields * cost_of_field
}

/// How many rows of this many bytes, in a text like this, cost no more than half of what is not counted.
pub(super) fn rows_that_fit(framing: Framing, sample: &[u8], row_bytes: usize) -> usize {
    let each = cost(framing, sample, COST_OF_FIELD).saturating_mul(row_bytes) / sample.len().max(1);
    (FREE_BYTES / 2 / each.max(1)).max(1)
}

pub(super) fn too_many_columns() -> Error {
    Error::TooLarge(format!(
        "the file has more than {MAX_COLUMNS} columns, the most that are read"
    ))
}

fn too_deep() -> Refusal {
    Refusal::Text(Error::TooLarge(format!(
        "a value is nested deeper than {MAX_DEPTH} levels, the deepest that is read"
    )))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Text(error) => error,
            Refusal::Memory(error) => Self::TooLarge(format!(
                "its records are too long for the memory of this worker (raise WORKER_MEMORY): {}",
                error.strip_backtrace()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    fn pool(bytes: usize) -> Arc<dyn MemoryPool> {
        Arc::new(GreedyMemoryPool::new(bytes))
    }

    fn feed(guard: &mut Guard, text: &[u8], times: usize) -> Result<(), Refusal> {
        (0..times).try_for_each(|_| guard.pass(text))
    }

    #[test]
    fn a_record_is_refused_when_it_is_too_long_and_not_before() {
        let pool = pool(1 << 30);
        let line = vec![b'x'; 1 << 20];
        for framing in [Framing::Csv(b','), Framing::Json] {
            let mut guard = Guard::new(framing, 8192, false, &pool);
            feed(&mut guard, &line, 16).unwrap();
            let refused = guard.pass(b"x").unwrap_err();
            assert!(
                matches!(&refused, Refusal::Text(Error::TooLarge(text)) if text.contains("16 MiB")),
                "{refused:?}"
            );
        }
        let mut guard = Guard::new(Framing::Csv(b','), 8192, false, &pool);
        let lines = [&line[..], b"\n"].concat();
        feed(&mut guard, &lines, 20).unwrap();
        // A line break within quotes ends nothing.
        let mut guard = Guard::new(Framing::Csv(b','), 8192, false, &pool);
        guard.pass(b"1,\"").unwrap();
        assert!(feed(&mut guard, &lines, 20).is_err());
        // Nor does one within a value, or an empty line.
        let mut guard = Guard::new(Framing::Json, 8192, false, &pool);
        guard.pass(b"[").unwrap();
        assert!(feed(&mut guard, &lines, 20).is_err());
    }

    #[test]
    fn what_a_batch_holds_is_reserved_and_given_back() {
        let pool = pool(100 << 20);
        let line = [&vec![b'x'; 1 << 20][..], b"\n"].concat();
        let mut guard = Guard::new(Framing::Csv(b','), 4, false, &pool);
        for _ in 0..1000 {
            guard.pass(&line).unwrap();
            assert!(pool.reserved() <= 16 << 20);
        }
        drop(guard);
        assert_eq!(pool.reserved(), 0);
        let mut guard = Guard::new(Framing::Csv(b','), 8192, false, &pool);
        let refused = feed(&mut guard, &line, 100).unwrap_err();
        assert!(matches!(refused, Refusal::Memory(_)), "{refused:?}");
        // Empty lines do not make it look as if the rows had gone.
        let mut guard = Guard::new(Framing::Json, 8, false, &pool);
        let value = [b"{\"a\":\"", &line[..1 << 20], b"\"}\n \n\n\n \r\n\n\n\n\n"].concat();
        feed(&mut guard, &value, 40).unwrap();
        assert!(pool.reserved() > 0, "eight values of a MiB are held, and counted");
    }

    #[test]
    fn columns_and_depth_have_a_bound() {
        let pool = pool(1 << 30);
        let mut guard = Guard::new(Framing::Csv(b','), 8192, false, &pool);
        assert!(guard.pass(&b",".repeat(MAX_COLUMNS)).is_err());
        let mut guard = Guard::new(Framing::Csv(b','), 8192, false, &pool);
        guard.pass(b"a,b\n").unwrap();
        guard.pass(&b",".repeat(MAX_COLUMNS)).unwrap();
        let mut guard = Guard::new(Framing::Json, 8192, false, &pool);
        assert!(guard.pass(&b"[".repeat(200)).is_err());
        // The part of a file that its reader skips may hold anything.
        let mut guard = Guard::new(Framing::Json, 8192, true, &pool);
        guard.pass(&b"[".repeat(200)).unwrap();
        guard.pass(b"[[\n{\"a\":1}\n").unwrap();
        assert!(guard.is_between_records());
    }
}
