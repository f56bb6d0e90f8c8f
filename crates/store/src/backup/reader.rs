//! Reading a backup: all of it is verified, one block in memory at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use api::cache::ReplicaItem;
use zstd::bulk::Decompressor;

use super::error::Error;
use super::format::{self, BLOCK_HEAD, BlockHead, FOOTER, Fields, Footer, MAX_HEADER};
use super::info::{BackupId, BackupInfo, Counts};
use super::item;

/// An open backup, of which header and footer are verified.
#[derive(Debug)]
pub(super) struct BackupReader {
    pub(super) info: BackupInfo,
    file: File,
    header: Vec<u8>,
    footer: Footer,
}

/// One pass over the blocks of a file.
struct Blocks<'a> {
    file: &'a mut File,
    path: &'a Path,
    /// Where the next block begins, and where the footer does.
    at: u64,
    end: u64,
    /// crc32c of all before `at`.
    crc: u32,
    packed: Vec<u8>,
    raw: Vec<u8>,
    decompressor: Decompressor<'static>,
}

impl BackupReader {
    /// Opens the file of a backup.
    pub(super) fn open(id: &BackupId, path: PathBuf) -> Result<Self, Error> {
        let damaged = |reason: String| damaged(&path, reason);
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        let bytes = file.metadata().map_err(Error::io("inspect", &path))?.len();
        let mut header = vec![0; bytes.min(MAX_HEADER as u64) as usize];
        fill(&mut file, &path, &mut header)?;
        let (meta, length) = format::decode_header(&header).map_err(damaged)?;
        header.truncate(length);
        if meta.id != *id {
            return Err(damaged(format!("its name says {id}, but it holds {}", meta.id)));
        }
        if bytes < (length + FOOTER) as u64 {
            return Err(damaged(format!("it has only {bytes} bytes")));
        }
        let mut footer = [0; FOOTER];
        file.seek(SeekFrom::Start(bytes - FOOTER as u64))
            .map_err(Error::io("read", &path))?;
        fill(&mut file, &path, &mut footer)?;
        let footer =
            Footer::decode(&footer).ok_or_else(|| damaged("it does not end as a whole backup does; it was cut".to_owned()))?;
        if footer.file_bytes != bytes {
            let reason = format!("it has {bytes} bytes where {} were written", footer.file_bytes);
            return Err(damaged(reason));
        }
        Ok(Self {
            info: BackupInfo::new(meta, footer.counts, bytes, path),
            file,
            header,
            footer,
        })
    }

    /// Reads everything twice: once to verify it, and only then to hand it over.
    pub(super) fn load(&mut self, mut each: impl FnMut(ReplicaItem<'_>)) -> Result<(), Error> {
        self.pass(|_| {})?;
        self.pass(&mut each)
    }

    /// Reads everything; what was handed over counts only when this returns without an error.
    fn pass(&mut self, mut each: impl FnMut(ReplicaItem<'_>)) -> Result<(), Error> {
        let path = &self.info.path;
        self.file
            .seek(SeekFrom::Start(self.header.len() as u64))
            .map_err(Error::io("read", path))?;
        let mut blocks = Blocks {
            file: &mut self.file,
            path,
            at: self.header.len() as u64,
            end: self.info.bytes - FOOTER as u64,
            crc: crc32c::crc32c(&self.header),
            packed: Vec::new(),
            raw: Vec::new(),
            decompressor: Decompressor::new().map_err(Error::io("read", path))?,
        };
        let mut counts = Counts::default();
        while blocks.next()? {
            let mut fields = Fields(&blocks.raw);
            while !fields.0.is_empty() {
                let item =
                    item::decode(&mut fields).ok_or_else(|| blocks.damaged("the block before it holds what is no item"))?;
                counts.add(&item);
                each(item);
            }
        }
        if blocks.crc != self.footer.crc {
            return Err(damaged(path, "the checksum of the file does not match".to_owned()));
        }
        if counts != self.footer.counts {
            let reason = format!("it holds {counts:?} and should hold {:?}", self.footer.counts);
            return Err(damaged(path, reason));
        }
        Ok(())
    }
}

impl Blocks<'_> {
    /// Puts the next block into `raw`; false when there is none.
    fn next(&mut self) -> Result<bool, Error> {
        let left = self.end - self.at;
        if left == 0 {
            return Ok(false);
        }
        let mut head = [0; BLOCK_HEAD];
        if left < BLOCK_HEAD as u64 {
            return Err(self.damaged("a block is cut"));
        }
        fill(self.file, self.path, &mut head)?;
        self.crc = crc32c::crc32c_append(self.crc, &head);
        let head = BlockHead::decode(&head).ok_or_else(|| self.damaged("the checksum of a block's head does not match"))?;
        let length = BLOCK_HEAD as u64 + u64::from(head.packed);
        if left < length {
            return Err(self.damaged("a block is cut"));
        }
        self.packed.resize(head.packed as usize, 0);
        fill(self.file, self.path, &mut self.packed)?;
        if crc32c::crc32c(&self.packed) != head.crc {
            return Err(self.damaged("the checksum of a block does not match"));
        }
        self.crc = crc32c::crc32c_combine(self.crc, head.crc, self.packed.len());
        self.raw.clear();
        self.raw.reserve_exact(head.raw as usize);
        let unpacked = self.decompressor.decompress_to_buffer(&self.packed, &mut self.raw);
        if unpacked.is_err() || self.raw.len() != head.raw as usize {
            return Err(self.damaged("a block cannot be unpacked"));
        }
        self.at += length;
        Ok(true)
    }

    fn damaged(&self, what: &str) -> Error {
        damaged(self.path, format!("at byte {}: {what}", self.at))
    }
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        reason,
    }
}

fn fill(file: &mut File, path: &Path, buffer: &mut [u8]) -> Result<(), Error> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(path, "it became shorter while it was read".to_owned()),
        _ => Error::io("read", path)(error),
    })
}
