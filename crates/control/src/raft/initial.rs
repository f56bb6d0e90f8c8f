//! Who begins a cluster.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;

/// A master that is there from the begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InitialMember {
    /// Its name (`NODE_ID`).
    pub name: String,
    /// `host:port` of its private listener.
    pub address: String,
}

impl InitialMember {
    /// Reads `master-1=host:9000,master-2=host:9000`; empty for none. The order does not matter and is not kept.
    ///
    /// # Errors
    /// [`Error::Invalid`], which names the part that is wrong.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let members = parts.map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        Self::check(members)
    }

    /// Sorts a list and refuses one that names somebody twice.
    pub(crate) fn check(mut members: Vec<Self>) -> Result<Vec<Self>, Error> {
        members.sort();
        for pair in members.windows(2) {
            if pair[0].name == pair[1].name {
                return Err(Error::Invalid(format!("RAFT_INITIAL_CLUSTER names {} twice", pair[0].name)));
            }
        }
        let mut addresses: Vec<&str> = members.iter().map(|member| member.address.as_str()).collect();
        addresses.sort_unstable();
        if let Some(pair) = addresses.windows(2).find(|pair| pair[0] == pair[1] && !pair[0].is_empty()) {
            return Err(Error::Invalid(format!(
                "RAFT_INITIAL_CLUSTER has the address {} twice",
                pair[0]
            )));
        }
        Ok(members)
    }

    /// The raft id of a member with this name; members added later get one from the leader.
    pub(crate) fn id(&self) -> u64 {
        initial_id(&self.name)
    }

    fn parse(part: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Invalid(format!(
                "{part:?} in RAFT_INITIAL_CLUSTER is not NAME=HOST:PORT, as in master-1=10.0.0.1:9000"
            ))
        };
        let (name, address) = part.split_once('=').ok_or_else(wrong)?;
        let (name, address) = (name.trim(), address.trim());
        if name.is_empty() || !is_address(address) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            address: address.to_owned(),
        })
    }
}

/// Whether a text is `host:port`.
pub(crate) fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':')
        .is_some_and(|(host, number)| !host.is_empty() && !host.contains(['/', ' ', '=']) && port(number))
}

/// The raft id of an initial member, from its name alone so that all members agree on it.
pub(crate) fn initial_id(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_any_order() {
        let read = |text| InitialMember::parse_list(text).unwrap();
        let list = read("b=h2:9000, a=h1:9000,");
        assert_eq!(list, read("a=h1:9000,b=h2:9000"));
        assert_eq!((list[0].name.as_str(), list[0].address.as_str()), ("a", "h1:9000"));
        assert!(read("").is_empty());
        assert_eq!(read("a=[::1]:9000")[0].address, "[::1]:9000");
    }

    #[test]
    fn wrong_lists_are_refused_by_part() {
        for (text, part) in [
            ("a=h:1,b", "\"b\""),
            ("a=h", "a=h"),
            ("=h:1", "=h:1"),
            ("a=h:0", "a=h:0"),
            ("a=http://h:1", "http"),
            ("a=h:1,a=i:1", "a twice"),
            ("a=h:1,b=h:1", "h:1 twice"),
        ] {
            let refused = InitialMember::parse_list(text).unwrap_err().to_string();
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }

    /// The ids stand in data directories: they must never change.
    #[test]
    fn ids_are_frozen() {
        assert_eq!(initial_id("master-1"), 0x4941_46b6_d7c1_d043);
    }
}
