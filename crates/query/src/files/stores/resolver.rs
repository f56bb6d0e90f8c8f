//! Names of hosts to addresses that may be connected to.
//!
//! A name that anybody can point anywhere must not lead into the operator's network, so what is judged is the address that is
//! connected to, each time, and not the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest_of_stores as reqwest;

/// How far a host is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// A pattern allows it: only public addresses.
    Pattern,
    /// It is named: private addresses too, but for link-local ones, where clouds keep their credentials.
    Named,
}

/// A resolver that leaves out what is not to be connected to.
#[derive(Debug)]
pub(super) struct Guarded {
    trust: Trust,
}

impl Guarded {
    pub(super) const fn new(trust: Trust) -> Self {
        Self { trust }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let trust = self.trust;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let good: Vec<SocketAddr> = found.into_iter().filter(|found| fits(trust, found.ip())).collect();
            if good.is_empty() {
                let refusal = format!(
                    "{} has no address that tables may be read from (private ones are refused)",
                    name.as_str()
                );
                return Err(refusal.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

fn fits(trust: Trust, address: IpAddr) -> bool {
    match trust {
        Trust::Pattern => is_public(address),
        Trust::Named => !is_link_local(address),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Whether an address is one of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The IPv4 address that an IPv6 address stands for.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        // NAT64, and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => v6.to_canonical(),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_broadcast()
        || v4.is_multicast()
        || v4.is_documentation()
        // This network, shared address space, protocol assignments, benchmarks, reserved.
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 240;
    !special
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3; of that, documentation is not for use.
    let [first, second, ..] = v6.segments();
    first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0x0db8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        let is = |text: &str| is_public(text.parse().unwrap());
        for public in ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is(public), "{public}");
        }
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.9.9.9",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "ff02::1",
        ] {
            assert!(!is(private), "{private}");
        }
        assert!(fits(Trust::Named, "127.0.0.1".parse().unwrap()));
        assert!(!fits(Trust::Named, "169.254.169.254".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_refused_unless_it_is_named() {
        let name = || "localhost".parse::<Name>().unwrap();
        assert!(Guarded::new(Trust::Pattern).resolve(name()).await.is_err());
        assert!(Guarded::new(Trust::Named).resolve(name()).await.is_ok());
    }
}
