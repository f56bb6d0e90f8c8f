//! Which of many denials are told. Whoever guesses keys must not fill the disk by it, nor hide what others do.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Table, counted};

/// Time over which entries are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Entries of one address in that time.
const OF_AN_ADDRESS: u32 = 10;
/// Entries of all together.
const OF_ALL: u32 = 600;
/// Addresses that are remembered.
const ADDRESSES: usize = 16_384;
/// Addresses whose sums are told at once.
const SUMS: usize = 100;

/// Counts denials.
#[derive(Debug)]
pub(super) struct Denials {
    addresses: Table<Option<IpAddr>, Window>,
    all: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    begins: Duration,
    told: u32,
    /// Since the last entry of this address.
    suppressed: u64,
}

impl Default for Denials {
    fn default() -> Self {
        Self {
            addresses: Table::new(ADDRESSES),
            all: Mutex::default(),
        }
    }
}

impl Denials {
    /// Whether a denial is told, and then how many of this address were not, since the last one that was.
    pub(super) fn admit(&self, address: Option<IpAddr>, now: Duration) -> Option<u64> {
        self.addresses.with(&address.map(counted), |window| {
            if window.has_room(OF_AN_ADDRESS, now) && self.all.lock().take(OF_ALL, now) {
                window.told += 1;
                return Some(std::mem::take(&mut window.suppressed));
            }
            window.suppressed += 1;
            None
        })
    }

    /// Addresses with denials that were not told, whose time is over.
    pub(super) fn left_over(&self, now: Duration) -> Vec<(Option<IpAddr>, u64)> {
        let mut sums = Vec::new();
        self.addresses.for_each(|address, window| {
            if window.suppressed > 0 && now.saturating_sub(window.begins) >= WINDOW && sums.len() < SUMS {
                sums.push((*address, std::mem::take(&mut window.suppressed)));
            }
        });
        sums
    }
}

impl Window {
    fn has_room(&mut self, most: u32, now: Duration) -> bool {
        if now.saturating_sub(self.begins) >= WINDOW {
            (self.begins, self.told) = (now, 0);
        }
        self.told < most
    }

    fn take(&mut self, most: u32, now: Duration) -> bool {
        let has_room = self.has_room(most, now);
        self.told += u32::from(has_room);
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_rest_of_a_minute_is_counted_and_told_with_the_next() {
        let denials = Denials::default();
        let told = (0..1000).filter(|_| denials.admit(address(1), at(100)).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(denials.admit(address(2), at(100)), Some(0), "others are told all the same");
        assert_eq!(denials.admit(address(1), at(160)), Some(990));
        assert_eq!(denials.admit(address(1), at(161)), Some(0));
    }

    #[test]
    fn what_was_left_out_is_summed_up_once_when_its_time_is_over() {
        let denials = Denials::default();
        for _ in 0..15 {
            denials.admit(address(1), at(100));
        }
        assert_eq!(denials.left_over(at(159)), []);
        assert_eq!(denials.left_over(at(160)), [(address(1), 5)]);
        assert_eq!(denials.left_over(at(1000)), []);
    }

    #[test]
    fn many_addresses_together_are_bounded_too() {
        let denials = Denials::default();
        let each = |high: u8| (0..250).map(move |low| Some(IpAddr::from([10, 1, high, low])));
        let told = (0..20)
            .flat_map(each)
            .filter(|from| denials.admit(*from, at(100)).is_some())
            .count();
        assert_eq!(told, OF_ALL as usize);
    }
}
