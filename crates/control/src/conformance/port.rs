//! Ports nobody else uses, also over the processes of tests that run side by side.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::ops::Range;

/// Below the system's range for outgoing connections (32768 and up on Linux), which would take them at any time.
const RANGE: Range<u16> = 12_000..32_000;

/// A port of this machine's loopback, kept for us as long as this lives: a node, or an etcd, may be killed and come back on it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Locked; the system unlocks it when this process ends, however it ends.
    _claim: File,
}

impl Port {
    /// Any free one.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn reserve() -> Self {
        let directory = std::env::temp_dir().join("elasticore-test-ports");
        std::fs::create_dir_all(&directory).expect("the temporary directory can be written");
        for _ in 0..1000 {
            let number = fastrand::u16(RANGE);
            let claim = OpenOptions::new()
                .create(true)
                .append(true)
                .open(directory.join(number.to_string()));
            let claim = claim.expect("the temporary directory can be written");
            if claim.try_lock().is_ok() && TcpListener::bind(("0.0.0.0", number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        panic!("no port of {RANGE:?} is free");
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}
