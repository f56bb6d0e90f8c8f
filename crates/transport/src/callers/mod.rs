//! What is remembered of many callers, in bounded memory: for limits, and for the audit log.

mod denials;
mod denied_log;
mod table;

use std::net::{IpAddr, Ipv6Addr};

pub use denied_log::DeniedLog;
pub use table::Table;

/// Bits of an IPv6 address that tell networks apart: whoever has one address has all of its /64.
const NETWORK: u32 = 64;

/// What callers are counted by: the address, of IPv6 its network. IPv4 is not also IPv6.
#[must_use]
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - NETWORK))).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn neighbours_in_ipv6_are_counted_as_one() {
        assert_eq!(counted(ip("2001:db8:1:2:3:4:5:6")), counted(ip("2001:db8:1:2::9")));
        assert_ne!(counted(ip("2001:db8:1:2::1")), counted(ip("2001:db8:1:3::1")));
        assert_eq!(counted(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
        assert_ne!(counted(ip("10.0.0.1")), counted(ip("10.0.0.2")));
    }
}
