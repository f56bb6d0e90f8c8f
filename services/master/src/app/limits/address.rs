//! Where a request comes from: the address that counts, also behind proxies.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A network, as in `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    base: u128,
    /// Of 128; IPv4 is looked at as IPv6 does.
    bits: u32,
}

impl Network {
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        (as_bits(address) ^ self.base) & mask(self.bits) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network: write an address, or one with its bits, as in 10.0.0.0/8 or fd00::/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > width {
            return Err(wrong());
        }
        let (base, bits) = (as_bits(address), bits + 128 - width);
        if base & !mask(bits) != 0 {
            return Err(format!(
                "{text:?} has bits behind its prefix: write the network's first address"
            ));
        }
        Ok(Self { base, bits })
    }
}

/// The proxies that may say for whom they ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TrustedProxies(pub(crate) Vec<Network>);

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client: of those who handed the request on, the last that is no trusted proxy. Each proxy adds at the end of `X-Forwarded-For` whom
    /// it was asked by, so what stands further left is anybody's word.
    pub(crate) fn client<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = canonical(peer);
        let mut further = forwarded.flat_map(|line| line.split(',')).map(str::trim).rev();
        while self.trusts(client) {
            match further.next().and_then(address) {
                Some(before) => client = canonical(before),
                // The proxy itself asks, or says something odd of whom it asks for.
                None => break,
            }
        }
        client
    }
}

/// An address in one form: IPv4 is not also IPv6.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// As proxies write it: with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(plain).or_else(with_port)
}

fn as_bits(address: IpAddr) -> u128 {
    match canonical(address) {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies(networks: &[&str]) -> TrustedProxies {
        TrustedProxies(networks.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.4", "192.168.1.4", "192.168.1.5"),
            ("192.168.1.4", "::ffff:192.168.1.4", "::192.168.1.4"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "127.0.0.1"),
            ("0.0.0.0/0", "8.8.8.8", "2001:db8::1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(ip(inside)), "{network} {inside}");
            assert!(!parsed.contains(ip(outside)), "{network} {outside}");
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::1/129",
            "nginx",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert!("::/0".parse::<Network>().unwrap().contains(ip("2001:db8::1")));
    }

    #[test]
    fn the_client_is_whom_the_last_trusted_proxy_names() {
        let trusted = proxies(&["10.0.0.0/8", "fd00::/8"]);
        for (peer, forwarded, client) in [
            ("198.51.100.9", &["203.0.113.7"][..], "198.51.100.9"),
            ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            // What a client claims stands left of what the proxy saw.
            ("10.0.0.1", &["127.0.0.1, 10.0.0.9, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["127.0.0.1", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            // A proxy that asks of its own accord, or says nothing that can be understood.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(
                trusted.client(ip(peer), forwarded.iter().copied()),
                ip(client),
                "{peer} {forwarded:?}"
            );
        }
        let nobody = TrustedProxies::default();
        assert_eq!(nobody.client(ip("10.0.0.1"), ["203.0.113.7"].into_iter()), ip("10.0.0.1"));
    }
}
