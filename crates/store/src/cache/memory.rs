//! Where the bytes of entries lie.
//!
//! Small ones come from the allocator. It keeps pages for each class of sizes, which are only given back when all
//! in them is free; for large values of ever different sizes that is up to a third more memory than is in use.
//! So large ones get pages of their own, straight from the operating system, which go back to it at once. That costs a few
//! system calls and page faults per write, little beside copying them, and none per read.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::MmapMut;

/// From here on bytes get pages of their own.
const LARGE: usize = 32 << 10;

/// What is given out in whole.
const PAGE: usize = 4096;

/// Mappings at most: a process may have 65,530 on Linux by default, and others need some.
const MAX_MAPPINGS: usize = 16 << 10;

/// Mappings there are. The limit is the process's, however many nodes are in it.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// Bytes that do not change any more, shared by all who read them.
#[derive(Clone)]
pub(super) enum Shared {
    Small(Arc<[u8]>),
    Large(Arc<Pages>),
}

/// Pages of their own, given back when the last reader is done.
pub(super) struct Pages {
    pages: MmapMut,
    len: usize,
}

impl Shared {
    /// A copy of two pieces, one behind the other.
    pub(super) fn copied(first: &[u8], second: &[u8]) -> Self {
        let len = first.len() + second.len();
        if let Some(mut copy) = Pages::for_bytes(len) {
            let (front, rest) = copy.pages.split_at_mut(first.len());
            front.copy_from_slice(first);
            rest[..second.len()].copy_from_slice(second);
            Self::Large(Arc::new(copy))
        } else if first.is_empty() {
            Self::Small(Arc::from(second))
        } else {
            Self::Small(Arc::from([first, second].concat()))
        }
    }
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(large) => &large.pages[..large.len],
        }
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Shared {}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        MAPPINGS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pages {
    /// Room for so many bytes; `None` when they are few, or pages are short.
    fn for_bytes(len: usize) -> Option<Self> {
        if len < LARGE || MAPPINGS.load(Ordering::Relaxed) >= MAX_MAPPINGS {
            return None;
        }
        let pages = MmapMut::map_anon(len).ok()?;
        MAPPINGS.fetch_add(1, Ordering::Relaxed);
        Some(Self { pages, len })
    }
}

/// Memory that so many bytes take: whole pages, or what an allocator with eight classes of sizes per doubling makes of them
/// on average.
pub(super) const fn taken(len: usize) -> usize {
    if len < LARGE {
        len + len / 16
    } else {
        len.next_multiple_of(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pieces_come_back_whatever_their_size() {
        for len in [0, 1, LARGE - 4, LARGE - 3, LARGE, 3 * LARGE + 17] {
            let value: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let copy = Shared::copied(b"abc", &value);
            assert_eq!((&copy[..3], &copy[3..]), (&b"abc"[..], &value[..]));
            assert_eq!(matches!(copy, Shared::Large(_)), copy.len() >= LARGE);
            assert!((copy.len()..copy.len() + PAGE).contains(&taken(copy.len())));
        }
    }

    #[test]
    fn pages_last_as_long_as_somebody_reads_them() {
        let copy = Shared::copied(b"", &vec![7; LARGE]);
        let reader = copy.clone();
        drop(copy);
        assert!(MAPPINGS.load(Ordering::Relaxed) > 0);
        assert_eq!((reader.len(), reader[LARGE - 1]), (LARGE, 7));
    }

    #[test]
    fn a_handle_is_two_words() {
        assert_eq!(size_of::<Shared>(), 2 * size_of::<usize>());
    }
}
