//! What has not happened yet: beginnings and ends of operations in the order of time, linked so that an operation is taken out
//! and put back in its place in one step.

/// Place of the anchor, before the first and after the last.
const ANCHOR: usize = 0;

/// Two rings of places: one of operations that ended (beginnings and ends), one of beginnings of those that never did.
#[derive(Debug)]
pub(super) struct List {
    ended: Ring,
    open: Ring,
    /// Of each operation: whether it ended, and its places.
    places: Vec<Places>,
}

#[derive(Debug, Clone, Copy)]
enum Places {
    Ended { begin: usize, end: usize },
    Open { begin: usize },
}

#[derive(Debug)]
struct Ring {
    /// Of each place: the one before, the one after.
    before: Vec<usize>,
    after: Vec<usize>,
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    time: u64,
    call: usize,
    is_end: bool,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// This operation.
    Call(usize),
    /// Nothing more: one that ended must have happened by now.
    End,
}

impl List {
    /// Of the times of operations.
    pub(super) fn new(times: impl Iterator<Item = (u64, Option<u64>)>) -> Self {
        let (mut ended, mut open, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for (call, (called, returned)) in times.enumerate() {
            let mark = |time, is_end| Mark { time, call, is_end };
            match returned {
                Some(returned) => ended.extend([mark(called, false), mark(returned, true)]),
                None => open.push(mark(called, false)),
            }
            kinds.push(returned.is_some());
        }
        let (ended, open) = (Ring::new(ended), Ring::new(open));
        let mut places: Vec<_> = kinds
            .into_iter()
            .map(|ended| {
                if ended {
                    Places::Ended {
                        begin: ANCHOR,
                        end: ANCHOR,
                    }
                } else {
                    Places::Open { begin: ANCHOR }
                }
            })
            .collect();
        for ring in [&ended, &open] {
            for (place, mark) in ring.marks.iter().enumerate().skip(1) {
                match &mut places[mark.call] {
                    Places::Ended { end, .. } if mark.is_end => *end = place,
                    Places::Ended { begin, .. } | Places::Open { begin } => *begin = place,
                }
            }
        }
        Self { ended, open, places }
    }

    /// The first operation that may happen now.
    pub(super) fn first(&self) -> Link {
        self.ended_at(self.ended.after[ANCHOR])
    }

    /// The operation to try after this one, which has not happened.
    pub(super) fn after(&self, call: usize) -> Link {
        match self.places[call] {
            Places::Ended { begin, .. } => self.ended_at(self.ended.after[begin]),
            Places::Open { begin } => self.open_at(self.open.after[begin]),
        }
    }

    /// Takes one out: it has happened.
    pub(super) fn take(&mut self, call: usize) {
        match self.places[call] {
            Places::Ended { begin, end } => {
                self.ended.take(begin);
                self.ended.take(end);
            }
            Places::Open { begin } => self.open.take(begin),
        }
    }

    /// Puts back the one that was taken last.
    pub(super) fn put_back(&mut self, call: usize) {
        match self.places[call] {
            Places::Ended { begin, end } => {
                self.ended.put_back(end);
                self.ended.put_back(begin);
            }
            Places::Open { begin } => self.open.put_back(begin),
        }
    }

    fn ended_at(&self, place: usize) -> Link {
        if place != ANCHOR && !self.ended.marks[place].is_end {
            return Link::Call(self.ended.marks[place].call);
        }
        self.open_at(self.open.after[ANCHOR])
    }

    /// Those that never ended come last, as far as they began before the first end.
    fn open_at(&self, place: usize) -> Link {
        if place == ANCHOR {
            return Link::End;
        }
        let mark = self.open.marks[place];
        if mark.time < self.first_end() {
            Link::Call(mark.call)
        } else {
            Link::End
        }
    }

    fn first_end(&self) -> u64 {
        let mut place = self.ended.after[ANCHOR];
        while place != ANCHOR && !self.ended.marks[place].is_end {
            place = self.ended.after[place];
        }
        if place == ANCHOR {
            u64::MAX
        } else {
            self.ended.marks[place].time
        }
    }
}

impl Ring {
    fn new(mut marks: Vec<Mark>) -> Self {
        // What begins when another ends is concurrent with it.
        marks.sort_by_key(|mark| (mark.time, mark.is_end));
        let anchor = Mark {
            time: 0,
            call: usize::MAX,
            is_end: false,
        };
        marks.insert(ANCHOR, anchor);
        let length = marks.len();
        Self {
            before: (0..length).map(|place| (place + length - 1) % length).collect(),
            after: (0..length).map(|place| (place + 1) % length).collect(),
            marks,
        }
    }

    fn take(&mut self, place: usize) {
        let (before, after) = (self.before[place], self.after[place]);
        self.after[before] = after;
        self.before[after] = before;
    }

    fn put_back(&mut self, place: usize) {
        let (before, after) = (self.before[place], self.after[place]);
        self.after[before] = place;
        self.before[after] = place;
    }
}
