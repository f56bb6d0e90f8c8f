//! Values in two linked queues, addressed by small numbers: what a queue with removal from its middle takes without
//! pointers. Values are boxed, so that memory goes back to the allocator one by one; only the slots stay.

/// Where a value is, until it is taken out or the slab is made smaller.
pub(super) type Id = u32;

const NONE: Id = Id::MAX;

/// Memory of slots per value at most, while the number of values does not fall: the slab grows by a quarter.
pub(super) const BYTES_PER_VALUE: usize = size_of::<Slot<u8>>() * 5 / 4;

/// One of the two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Small,
    Main,
}

/// Number of queues.
const QUEUES: usize = 2;

pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// First of the slots without a value, linked by `older`.
    vacant: Id,
    ends: [Ends; QUEUES],
}

struct Slot<T> {
    value: Option<Box<T>>,
    newer: Id,
    older: Id,
    queue: Queue,
    /// For the caller: how often the value was used.
    uses: u8,
}

#[derive(Clone, Copy)]
struct Ends {
    newest: Id,
    oldest: Id,
    len: usize,
}

const EMPTY: Ends = Ends {
    newest: NONE,
    oldest: NONE,
    len: 0,
};

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            vacant: NONE,
            ends: [EMPTY; QUEUES],
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.ends.iter().map(|ends| ends.len).sum()
    }

    pub(super) fn queue_len(&self, queue: Queue) -> usize {
        self.ends[queue as usize].len
    }

    pub(super) fn oldest(&self, queue: Queue) -> Option<Id> {
        let oldest = self.ends[queue as usize].oldest;
        (oldest != NONE).then_some(oldest)
    }

    pub(super) fn get(&self, id: Id) -> Option<&T> {
        self.slots.get(id as usize)?.value.as_deref()
    }

    /// The value and its count of uses.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<(&mut T, &mut u8)> {
        let slot = self.slots.get_mut(id as usize)?;
        Some((slot.value.as_deref_mut()?, &mut slot.uses))
    }

    /// Adds a value, never used, as the newest of a queue.
    ///
    /// # Panics
    /// With 2³² values; their slots alone would take a hundred gigabytes.
    pub(super) fn push(&mut self, queue: Queue, value: T) -> Id {
        let slot = Slot {
            value: Some(Box::new(value)),
            newer: NONE,
            older: NONE,
            queue,
            uses: 0,
        };
        let id = self.vacant;
        if id == NONE {
            self.append(slot)
        } else {
            self.vacant = self.slots[id as usize].older;
            self.slots[id as usize] = slot;
            self.link(id);
            id
        }
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, id: Id) -> Option<T> {
        let value = self.slots.get_mut(id as usize)?.value.take()?;
        self.unlink(id);
        self.slots[id as usize].older = self.vacant;
        self.vacant = id;
        Some(*value)
    }

    /// Makes a value the newest of a queue.
    pub(super) fn requeue(&mut self, id: Id, queue: Queue) {
        self.unlink(id);
        self.slots[id as usize].queue = queue;
        self.link(id);
    }

    /// Number of places, with a value or without.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Every value that is held, with its place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(id, slot)| Some((id, slot.value.as_deref()?)))
    }

    /// Whether most slots are vacant, and enough of them to matter.
    pub(super) fn is_sparse(&self) -> bool {
        self.slots.len() > 64 && self.len() < self.slots.len() / 2
    }

    /// A copy without vacant slots, both queues in their order; `moved` hears where each value went.
    pub(super) fn compacted(mut self, mut moved: impl FnMut(Id, Id)) -> Self {
        let mut compact = Self {
            slots: Vec::with_capacity(self.len()),
            ..Self::default()
        };
        for queue in [Queue::Small, Queue::Main] {
            let mut from = self.ends[queue as usize].oldest;
            while from != NONE {
                let newer = self.slots[from as usize].newer;
                let slot = &mut self.slots[from as usize];
                let to = compact.append(Slot {
                    value: slot.value.take(),
                    newer: NONE,
                    older: NONE,
                    ..*slot
                });
                moved(from, to);
                from = newer;
            }
        }
        compact
    }

    fn append(&mut self, slot: Slot<T>) -> Id {
        let id = Id::try_from(self.slots.len()).unwrap_or(NONE);
        assert_ne!(id, NONE, "2^32 values in one slab");
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact((self.slots.len() / 4).max(16));
        }
        self.slots.push(slot);
        self.link(id);
        id
    }

    fn link(&mut self, id: Id) {
        let queue = self.slots[id as usize].queue as usize;
        let newest = self.ends[queue].newest;
        self.slots[id as usize].older = newest;
        self.slots[id as usize].newer = NONE;
        match newest {
            NONE => self.ends[queue].oldest = id,
            newest => self.slots[newest as usize].newer = id,
        }
        self.ends[queue].newest = id;
        self.ends[queue].len += 1;
    }

    fn unlink(&mut self, id: Id) {
        let Slot { newer, older, queue, .. } = self.slots[id as usize];
        let queue = queue as usize;
        match newer {
            NONE => self.ends[queue].newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        match older {
            NONE => self.ends[queue].oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
        self.ends[queue].len -= 1;
    }
}
