//! Requests as sequences of key numbers, the same in every run.

use std::fmt;

use fastrand::Rng;

/// Keys that are asked for again and again.
pub(crate) const KEYS: usize = 100_000;

/// Length of a trace.
pub(crate) const REQUESTS: usize = 1_000_000;

/// Of the random numbers of every trace.
pub(crate) const SEED: u64 = 42;

/// Exponent of the Zipf distribution.
const EXPONENT: f64 = 0.9;

/// Requests after which the keys change places in the order of popularity.
const SHIFT: usize = 50_000;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Trace {
    Zipf,
    /// Every other request, at random, is for a key that no other request is for.
    OneHit,
    Shifting,
}

impl Trace {
    pub(crate) const ALL: [Self; 3] = [Self::Zipf, Self::OneHit, Self::Shifting];

    /// The keys asked for.
    pub(crate) fn requests(self) -> Vec<u32> {
        let mut random = Rng::with_seed(SEED);
        let shares = cumulated_shares();
        let mut keys: Vec<u32> = (0..).take(KEYS).collect();
        let mut unseen = KEYS as u32..;
        (0..REQUESTS)
            .map(|time| {
                if matches!(self, Self::Shifting) && time % SHIFT == 0 {
                    random.shuffle(&mut keys);
                }
                if matches!(self, Self::OneHit) && random.bool() {
                    unseen.next().unwrap_or_default()
                } else {
                    let share = random.f64();
                    let rank = shares.partition_point(|cumulated| *cumulated <= share);
                    keys[rank.min(KEYS - 1)]
                }
            })
            .collect()
    }

    /// Hit ratios measured elsewhere with LRU, S3-FIFO and W-TinyLFU, as far as there are any.
    pub(crate) const fn known(self, percent: usize) -> [Option<f64>; 3] {
        match (self, percent) {
            (Self::Zipf, 1) => [Some(0.340), Some(0.446), Some(0.446)],
            (Self::Zipf, 10) => [Some(0.598), Some(0.645), Some(0.638)],
            (Self::Shifting, 1) => [Some(0.340), Some(0.409), Some(0.276)],
            _ => [None; 3],
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zipf => write!(f, "Zipf {EXPONENT}"),
            Self::OneHit => write!(f, "Zipf {EXPONENT}, half of the requests for keys never repeated"),
            Self::Shifting => write!(f, "Zipf {EXPONENT}, new order of popularity every {SHIFT} requests"),
        }
    }
}

/// For each rank the probability of this or a more popular one.
fn cumulated_shares() -> Vec<f64> {
    let weights = (1..=KEYS).map(|rank| (rank as f64).powf(-EXPONENT));
    let total: f64 = weights.clone().sum();
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        })
        .collect()
}
