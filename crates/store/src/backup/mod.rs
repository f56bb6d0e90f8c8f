//! Backups of the memory tier: one file each, in a directory that belongs to one process.
//!
//! What stays true:
//! - a backup is visible only when whole and durable: it is written under another name, synced, renamed, and the directory
//!   is synced, before [`BackupWriter::finish`] returns; whatever fails before leaves nothing, and older backups as they were;
//! - a file that was cut, changed or put together from others is never taken for whole: every byte is under a checksum, and
//!   the footer counts what must be there;
//! - nothing of a file is handed out before all of it was read and verified ([`BackupDir::load`]);
//! - the newest backup is the one begun last, whatever the clock said: file names are numbered;
//! - memory is one block in three forms (raw, packed, the compressor's tables), and a block is one mebibyte, or one item that is larger.
//!
//! # Format 1
//! Numbers are little endian. `bytes` is a length (u32) and that many bytes; `text` is `bytes` in UTF-8.
//! ```text
//! file   := header | block … | footer
//! header := "ECBACKUP" | format u32 = 1 | epoch u64 | made_at_ms u64 | id text | node text | boot_id text
//!           | crc32c of the header so far u32
//! block  := raw length u32 | packed length u32 | crc32c of the packed bytes u32 | crc32c of these 12 bytes u32
//!           | packed bytes: one zstd frame of whole items
//! footer := "ECBKPEND" | entries u64 | tombstones u64 | length of the file u64 | crc32c of all before the footer u32
//!           | crc32c of the footer so far u32
//! item   := version u64 | namespace text | key text | state
//! state  := 0 u8 | at_ms u64 | existed u8                                                        (deleted)
//!         | 1 u8 | packing u8 (0 plain, 1 LZ4) | created u8 | fresh_until_ms u64 | expires_at_ms u64
//!                | content_type text | value bytes                                               (live)
//! ```
//! It is not the form in which items travel between nodes: that may change with each version of the software, and a backup
//! must be readable by a later one.
//!
//! zstd at level 1, not LZ4: a backup is limited by the disk and large values are LZ4 already, of which only an entropy coder
//! makes anything; it is built anyway, for Parquet. Frames are decompressed only after their checksum matched.

mod dir;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod info;
mod item;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use dir::BackupDir;
pub use error::Error;
pub use info::{BackupId, BackupInfo, BackupMeta, Found};
pub use writer::BackupWriter;
