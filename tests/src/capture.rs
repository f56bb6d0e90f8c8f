//! What travels over a network of the test's own, byte for byte. Needs root, and Debian's package tcpdump.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::network::{Network, inside};
use crate::{Process, eventually};

/// Where it may be installed.
const PROGRAMS: &[&str] = &["/usr/bin/tcpdump", "/usr/sbin/tcpdump", "/sbin/tcpdump"];
/// Time to begin and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

/// What was captured.
#[derive(Debug)]
pub struct Captured(Vec<u8>);

impl Capture {
    /// Begins, where all packets between nodes pass; returns when it has begun.
    ///
    /// # Panics
    /// When it does not begin.
    pub async fn start(network: &Network, directory: &Path) -> Self {
        let program = PROGRAMS.iter().map(Path::new).find(|program| program.is_file());
        let mut command = inside(&network.hub(), program.expect("tcpdump is installed (Debian: tcpdump)"));
        let file = directory.join("capture.pcap");
        // On all devices of the namespace: a bridge itself does not see what it passes on. Whole packets, written at once.
        // Immediately, or the last second would be missing.
        command
            .args([
                "-i",
                "any",
                "--immediate-mode",
                "-s",
                "0",
                "-U",
                "-B",
                "65536",
                "-Z",
                "root",
                "-w",
            ])
            .arg(&file);
        let process = Process::start("tcpdump", &mut command, &directory.join("tcpdump.log"));
        eventually("tcpdump to listen", PATIENCE, || async {
            let log = process.log();
            if log.contains("listening on") { Ok(()) } else { Err(log) }
        })
        .await;
        Self { process, file }
    }

    /// Ends it.
    ///
    /// # Panics
    /// When it lost packets, or does not end.
    pub async fn stop(mut self) -> Captured {
        self.process.signal("INT");
        self.process.exit(PATIENCE).await;
        let log = self.process.log();
        assert!(log.contains("\n0 packets dropped by kernel"), "packets were lost: {log}");
        Captured(std::fs::read(&self.file).expect("tcpdump has written its file"))
    }
}

impl Captured {
    /// How often a text is in it, as it is.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let (bytes, first) = (text.as_bytes(), text.as_bytes()[0]);
        let begins = self.0.iter().enumerate().filter(|(_, byte)| **byte == first);
        begins.filter(|(at, _)| self.0[*at..].starts_with(bytes)).count()
    }

    /// Its size.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }
}
