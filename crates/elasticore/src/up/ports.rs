//! Are the ports free? Asked for all at once and before anything is started, so that the answer names all that are taken.

use std::io;
use std::net::{SocketAddr, TcpListener};

use anyhow::{anyhow, bail};

/// Takes every address for a moment.
///
/// # Errors
/// Names the ports that are taken, or the first address that cannot be listened on.
pub(super) fn check(addresses: &[SocketAddr]) -> anyhow::Result<()> {
    let mut taken = Vec::new();
    let mut held = Vec::new();
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(listener) => held.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken.push(address.port().to_string()),
            Err(error) => return Err(anyhow!(error).context(format!("cannot listen on {address}"))),
        }
    }
    let remedy = "stop what listens there, or choose: --port N for the API, --free-ports for the private ones, --port 0 for both";
    match taken.as_slice() {
        [] => Ok(()),
        [port] => bail!("port {port} is taken: {remedy}"),
        ports => bail!("ports {} are taken: {remedy}", ports.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_taken_port_is_named() {
        let loopback = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, two) = (loopback(), loopback());
        let taken = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        let refused = check(&taken).unwrap_err().to_string();
        assert!(
            taken.iter().all(|address| refused.contains(&address.port().to_string())),
            "{refused}"
        );
        drop((one, two));
        check(&taken).unwrap();
    }

    #[test]
    fn foreign_address_is_refused_with_its_name() {
        let foreign: SocketAddr = "192.0.2.1:1".parse().unwrap();
        assert!(check(&[foreign]).unwrap_err().to_string().contains("192.0.2.1:1"));
    }
}
