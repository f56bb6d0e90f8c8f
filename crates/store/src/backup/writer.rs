//! Writing a backup: blocks into a file of another name, then everything durable, then the name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use api::cache::ReplicaItem;
use zstd::bulk::Compressor;

use super::dir::BackupDir;
use super::error::Error;
use super::format::{self, BLOCK, BlockHead, FOOTER, Footer, MAX_ITEM};
use super::info::{BackupInfo, BackupMeta, Counts};
use super::item;

/// Where the bytes of a backup go: a file, or in tests one whose disk is full.
pub(super) trait Sink: Write + Send {
    /// Makes everything written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is removed unless it is kept.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) path: PathBuf,
    pub(super) keep: bool,
}

/// A backup that is being written. Dropping it leaves nothing of it.
pub struct BackupWriter {
    dir: BackupDir,
    meta: BackupMeta,
    /// None when a call has failed.
    output: Option<Output>,
    /// What waits to be written as a block.
    pub(super) block: Vec<u8>,
    counts: Counts,
}

struct Output {
    sink: Box<dyn Sink>,
    file: Unfinished,
    /// The name the file is given in the end.
    target: PathBuf,
    compressor: Compressor<'static>,
    packed: Vec<u8>,
    written: u64,
    crc: u32,
}

impl BackupWriter {
    /// Begins a backup in `sink`, which is the empty file `file`.
    pub(super) fn begin(
        dir: BackupDir,
        meta: BackupMeta,
        sink: Box<dyn Sink>,
        file: Unfinished,
        target: PathBuf,
    ) -> Result<Self, Error> {
        let mut output = Output {
            compressor: Compressor::new(1).map_err(Error::io("write", &file.path))?,
            sink,
            file,
            target,
            packed: Vec::new(),
            written: 0,
            crc: 0,
        };
        output.write(&format::encode_header(&meta))?;
        Ok(Self {
            dir,
            meta,
            output: Some(output),
            block: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// Adds the state of a key. What was evicted is nothing to keep, and is passed over.
    ///
    /// # Errors
    /// [`Error::TooLarge`] leaves the backup as it was. After [`Error::Io`] nothing is left of it, and every further call is
    /// answered with [`Error::Abandoned`].
    pub fn add(&mut self, item: &ReplicaItem<'_>) -> Result<(), Error> {
        let bytes = item::payload_bytes(item);
        if bytes > MAX_ITEM {
            return Err(Error::TooLarge {
                key: item.key.to_owned(),
                bytes,
            });
        }
        item::encode(item, &mut self.block);
        self.counts.add(item);
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    /// Bytes in the file so far; for callers that spare the disk.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.output.as_ref().map_or(0, |output| output.written)
    }

    /// Makes the backup durable and visible, and removes the oldest ones.
    ///
    /// # Errors
    /// [`Error::Io`], after which nothing is left of it; [`Error::Abandoned`] when a call failed before.
    pub fn finish(mut self) -> Result<BackupInfo, Error> {
        self.flush()?;
        let output = self.output.take().ok_or(Error::Abandoned(self.meta.id.clone()))?;
        let (path, bytes) = output.finish(&self.dir, self.counts)?;
        self.dir.remove_oldest();
        Ok(BackupInfo::new(self.meta, self.counts, bytes, path))
    }

    /// Writes what waits as a block. When that fails, the output is gone, and with it the file.
    fn flush(&mut self) -> Result<(), Error> {
        let mut output = self.output.take().ok_or(Error::Abandoned(self.meta.id.clone()))?;
        if !self.block.is_empty() {
            output.write_block(&self.block)?;
            self.block.clear();
        }
        self.output = Some(output);
        Ok(())
    }
}

impl Output {
    fn write_block(&mut self, raw: &[u8]) -> Result<(), Error> {
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.compressor
            .compress_to_buffer(raw, &mut packed)
            .map_err(Error::io("compress", &self.file.path))?;
        let head = BlockHead {
            raw: raw.len() as u32,
            packed: packed.len() as u32,
            crc: crc32c::crc32c(&packed),
        };
        self.write(&head.encode())?;
        self.write(&packed)?;
        self.packed = packed;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write_all(bytes).map_err(Error::io("write", &self.file.path))?;
        self.written += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }

    fn finish(mut self, dir: &BackupDir, counts: Counts) -> Result<(PathBuf, u64), Error> {
        let footer = Footer {
            counts,
            file_bytes: self.written + FOOTER as u64,
            crc: self.crc,
        };
        self.write(&footer.encode())?;
        self.sink.sync().map_err(Error::io("sync", &self.file.path))?;
        fs::rename(&self.file.path, &self.target).map_err(Error::io("rename", &self.file.path))?;
        self.file.path.clone_from(&self.target);
        dir.sync()?;
        self.file.keep = true;
        Ok((self.target, self.written))
    }
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.keep {
            // What stays after a crash, or when even this fails, is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl std::fmt::Debug for BackupWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupWriter")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}
