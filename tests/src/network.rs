//! A network of the test's own: each node in a network namespace, so that any two can be parted.
//!
//! Every namespace hangs on one bridge, which lies in a namespace too: rules and bridges of this machine do not touch it, and
//! all of it goes with the namespaces. Needs root, and Debian's packages iproute2 and iptables.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// Set to 1 where there are no namespaces to be had: tests that need them are left out then.
const SKIP: &str = "ELASTICORE_SKIP_NETNS";
/// Where daemons and their tools live, which is not on every user's path.
const SBIN: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Networks this process has made so far. Locked while one is made, so that no two take the same addresses.
static MADE: Mutex<u32> = Mutex::new(0);

/// Namespaces that hang together; a process may have several such networks.
#[derive(Debug)]
pub struct Network {
    /// Begins the name of everything here, and names this process.
    prefix: String,
    /// The first three numbers of all addresses. RFC 2544: addresses of 198.18.0.0/15 are nobody's.
    subnet: String,
    places: Vec<Place>,
}

/// Where a node lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the namespace.
    pub namespace: String,
    /// Its address.
    pub address: String,
}

impl Network {
    /// Whether tests that part nodes are to be left out.
    #[must_use]
    pub fn is_left_out() -> bool {
        std::env::var(SKIP).is_ok_and(|value| value == "1")
    }

    /// An empty network, reachable from this machine.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        remove_leftovers();
        let network = Self::claim(*made);
        *made += 1;
        let (hub, outer) = (network.hub(), network.outer());
        ip(&format!("netns add {hub}"));
        ip(&format!("-n {hub} link add bridge type bridge"));
        ip(&format!("-n {hub} link set bridge up"));
        ip(&format!("link add {outer} type veth peer name outside netns {hub}"));
        ip(&format!("-n {hub} link set outside master bridge"));
        ip(&format!("-n {hub} link set outside up"));
        ip(&format!("addr add {}/24 dev {outer}", network.host()));
        ip(&format!("link set {outer} up"));
        network
    }

    /// A name and addresses that nobody else has.
    fn claim(number: u32) -> Self {
        let (process, taken) = (std::process::id(), subnets());
        let first = process.wrapping_mul(31).wrapping_add(number);
        let subnet = (0..512).map(|step| {
            let place = first.wrapping_add(step) % 512;
            format!("198.{}.{}", 18 + place / 256, place % 256)
        });
        let subnet = subnet.into_iter().find(|subnet| !taken.contains(&format!(" {subnet}.1/")));
        Self {
            // Short: a device's name has 15 letters at most.
            prefix: format!("ec{process}n{}", number % 1000),
            subnet: subnet.expect("one of 512 subnets is free"),
            places: Vec::new(),
        }
    }

    /// This machine's own address in it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.1", self.subnet)
    }

    /// Room for one more node.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn add(&mut self) -> Place {
        let number = self.places.len() + 2;
        let place = Place {
            namespace: format!("{}-{number}", self.prefix),
            address: format!("{}.{number}", self.subnet),
        };
        let (hub, name) = (self.hub(), &place.namespace);
        ip(&format!("netns add {name}"));
        self.places.push(place.clone());
        ip(&format!(
            "link add eth0 netns {name} type veth peer name port{number} netns {hub}"
        ));
        ip(&format!("-n {hub} link set port{number} master bridge"));
        ip(&format!("-n {hub} link set port{number} up"));
        ip(&format!("-n {name} addr add {}/24 dev eth0", place.address));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} link set eth0 up"));
        place
    }

    /// Parts two nodes: from now on every packet between them is dropped, in silence.
    ///
    /// # Panics
    /// When the rules cannot be set.
    pub fn part(&self, one: &Place, other: &Place) {
        self.silence(one, other);
        self.silence(other, one);
    }

    /// From now on every packet that one node sends to another is dropped, in silence; the other way they still come.
    ///
    /// # Panics
    /// When the rule cannot be set.
    pub fn silence(&self, from: &Place, to: &Place) {
        let rule = format!("iptables -w -A INPUT -s {} -j DROP", from.address);
        ip(&format!("netns exec {} {rule}", to.namespace));
    }

    /// Joins all that was parted.
    ///
    /// # Panics
    /// When the rules cannot be removed.
    pub fn join(&self) {
        for place in &self.places {
            ip(&format!("netns exec {} iptables -w -F INPUT", place.namespace));
        }
    }

    /// Name of the namespace in which the bridge is.
    pub(crate) fn hub(&self) -> String {
        format!("{}-hub", self.prefix)
    }

    /// Name of this machine's end; the system allows 15 letters.
    fn outer(&self) -> String {
        format!("{}o", self.prefix)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.prefix);
    }
}

/// A command that becomes `program` in a namespace.
#[must_use]
pub(crate) fn inside(namespace: &str, program: &Path) -> Command {
    let directories = path();
    let ip = std::env::split_paths(&directories).map(|directory| directory.join("ip"));
    let mut command = Command::new(ip.into_iter().find(|ip| ip.is_file()).expect("iproute2 is installed"));
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

fn path() -> String {
    format!("{}:{SBIN}", std::env::var("PATH").unwrap_or_default())
}

fn attempt(arguments: &str) -> Option<Output> {
    let mut command = Command::new("ip");
    command.args(arguments.split(' ')).env("PATH", path());
    command.output().ok()
}

fn ip(arguments: &str) {
    let output = attempt(arguments);
    let problem = match &output {
        Some(output) if output.status.success() => return,
        Some(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        None => "it is not installed".to_owned(),
    };
    panic!("ip {arguments}: {problem} (needs root, iproute2 and iptables; {SKIP}=1 leaves such tests out)");
}

/// Removes what a network made. Its end on this machine goes first: a namespace dies a little after it was deleted.
fn remove(prefix: &str) {
    attempt(&format!("link del {prefix}o"));
    for namespace in namespaces() {
        if namespace.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-')) {
            attempt(&format!("netns del {namespace}"));
        }
    }
}

/// Removes what tests left behind that were killed.
fn remove_leftovers() {
    for namespace in namespaces() {
        let prefix = namespace.split('-').next().unwrap_or_default();
        let process = prefix
            .strip_prefix("ec")
            .and_then(|rest| rest.split('n').next()?.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            remove(prefix);
        }
    }
}

/// The addresses of this machine, as text.
fn subnets() -> String {
    let addresses = attempt("-4 -o addr show").map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    addresses.unwrap_or_default()
}

fn namespaces() -> Vec<String> {
    let list = attempt("netns list").map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let list = list.unwrap_or_default();
    list.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a node's packets reach another one and come back: nobody listens there, so a refusal has been there and back.
    fn reaches(from: &Place, to: &Place) -> bool {
        let connect = format!("exec 3<>/dev/tcp/{}/22", to.address);
        let mut command = inside(&from.namespace, Path::new("timeout"));
        let output = command
            .args(["1", "bash", "-c", &connect])
            .env("PATH", path())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).contains("refused")
    }

    #[test]
    fn networks_of_one_process_have_nothing_in_common() {
        if Network::is_left_out() {
            return;
        }
        let (mut network, mut other) = (Network::new(), Network::new());
        let (place, foreign) = (network.add(), other.add());
        assert_ne!(place.namespace, foreign.namespace);
        assert_ne!(network.host(), other.host());
        let more = network.add();
        drop(other);
        assert!(reaches(&place, &more), "a network went with another one");
    }

    #[test]
    fn parted_nodes_do_not_reach_each_other_until_they_are_joined_and_all_others_do() {
        if Network::is_left_out() {
            return;
        }
        let mut network = Network::new();
        let (one, other, third) = (network.add(), network.add(), network.add());
        let all = [(&one, &other), (&other, &one), (&one, &third), (&third, &other)];
        let reached = || all.map(|(from, to)| reaches(from, to));
        assert_eq!(reached(), [true; 4]);
        network.part(&one, &other);
        assert_eq!(reached(), [false, false, true, true]);
        network.join();
        assert_eq!(reached(), [true; 4]);

        // This machine is one of them, and nothing is left behind.
        assert!(std::net::TcpListener::bind((network.host(), 0)).is_ok());
        let prefix = network.prefix.clone();
        drop(network);
        assert!(namespaces().iter().all(|name| !name.starts_with(&prefix)));
    }
}
