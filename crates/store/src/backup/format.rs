//! Header, block heads and footer of a file; the module's documentation shows their bytes.

use api::{Epoch, NodeId};

use super::info::{BackupId, BackupMeta, Counts};

/// A block is closed when it has this many raw bytes.
pub(super) const BLOCK: usize = 1 << 20;

/// Largest item, fields of fixed size aside: a value of 1 GiB, the most MAX_VALUE_BYTES may be set to, and what belongs to it.
pub(super) const MAX_ITEM: usize = (1 << 30) + (1 << 20);

/// Largest block: what waited, an item and its fields of fixed size.
const MAX_RAW: usize = BLOCK + MAX_ITEM + BLOCK;

/// Bytes of a block's head.
pub(super) const BLOCK_HEAD: usize = 4 * 4;

/// Bytes of the footer.
pub(super) const FOOTER: usize = 8 + 3 * 8 + 2 * 4;

/// No header has more bytes.
pub(super) const MAX_HEADER: usize = 512;

const MAGIC: &[u8; 8] = b"ECBACKUP";
const END_MAGIC: &[u8; 8] = b"ECBKPEND";
const FORMAT: u32 = 1;

/// Stands before the packed bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) raw: u32,
    pub(super) packed: u32,
    pub(super) crc: u32,
}

/// Ends a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) counts: Counts,
    pub(super) file_bytes: u64,
    /// crc32c of all before the footer.
    pub(super) crc: u32,
}

/// Takes fields off the front of bytes; `None` when they end before the field does.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// The header of a backup.
pub(super) fn encode_header(meta: &BackupMeta) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(meta.epoch.0.to_le_bytes());
    bytes.extend(meta.made_at_ms.to_le_bytes());
    put_bytes(&mut bytes, meta.id.as_str().as_bytes());
    put_bytes(&mut bytes, meta.node.as_str().as_bytes());
    put_bytes(&mut bytes, meta.boot_id.to_string().as_bytes());
    seal(bytes)
}

/// Reads a header off the first bytes of a file, and how long it is. What does not fit is said in words.
pub(super) fn decode_header(start: &[u8]) -> Result<(BackupMeta, usize), String> {
    let mut fields = Fields(start);
    if fields.array() != Some(*MAGIC) {
        return Err("it does not begin as a backup does".to_owned());
    }
    let format = fields.u32().ok_or("its header is cut")?;
    if format != FORMAT {
        return Err(format!("format {format} is not known to this version of the software"));
    }
    let mut read = || Some((fields.u64()?, fields.u64()?, fields.text()?, fields.text()?, fields.text()?));
    let (epoch, made_at_ms, id, node, boot_id) = read().ok_or("its header is cut or no text")?;
    let covered = &start[..start.len() - fields.0.len()];
    if fields.u32() != Some(crc32c::crc32c(covered)) {
        return Err("the checksum of its header does not match".to_owned());
    }
    let meta = BackupMeta {
        id: BackupId::try_new(id).map_err(|error| error.to_string())?,
        node: NodeId::try_new(node).map_err(|error| error.to_string())?,
        boot_id: boot_id.parse().map_err(|error: api::id::InvalidId| error.to_string())?,
        epoch: Epoch(epoch),
        made_at_ms,
    };
    Ok((meta, start.len() - fields.0.len()))
}

impl BlockHead {
    pub(super) fn encode(self) -> Vec<u8> {
        seal([self.raw, self.packed, self.crc].map(u32::to_le_bytes).concat())
    }

    /// `None` when it is damaged, or larger than blocks are.
    pub(super) fn decode(bytes: &[u8; BLOCK_HEAD]) -> Option<Self> {
        let mut fields = unseal(bytes)?;
        let head = Self {
            raw: fields.u32()?,
            packed: fields.u32()?,
            crc: fields.u32()?,
        };
        (head.raw as usize <= MAX_RAW).then_some(head)
    }
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = END_MAGIC.to_vec();
        bytes.extend(
            [self.counts.entries, self.counts.tombstones, self.file_bytes]
                .map(u64::to_le_bytes)
                .concat(),
        );
        bytes.extend(self.crc.to_le_bytes());
        seal(bytes)
    }

    /// `None` when it is damaged or none at all.
    pub(super) fn decode(bytes: &[u8; FOOTER]) -> Option<Self> {
        let mut fields = unseal(bytes)?;
        if fields.array() != Some(*END_MAGIC) {
            return None;
        }
        Some(Self {
            counts: Counts {
                entries: fields.u64()?,
                tombstones: fields.u64()?,
            },
            file_bytes: fields.u64()?,
            crc: fields.u32()?,
        })
    }
}

impl<'a> Fields<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// A byte that is 0 or 1.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.u8().filter(|byte| *byte <= 1).map(|byte| byte == 1)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Appends a length and the bytes; nothing in a backup is longer than [`MAX_ITEM`].
pub(super) fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u32).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// Appends the checksum of all that is there.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// What stands before a checksum at the end, if it matches.
fn unseal(bytes: &[u8]) -> Option<Fields<'_>> {
    let (covered, checksum) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(covered).to_le_bytes() == *checksum).then_some(Fields(covered))
}
