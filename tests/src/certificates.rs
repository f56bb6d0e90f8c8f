//! An authority of the test's own, and what it signs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tls::{Authority, ClientConfig, Issued, Purpose, Request};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Certificates in a directory, under one authority.
#[derive(Debug)]
pub struct Certificates {
    authority: Authority,
    own: Issued,
    directory: PathBuf,
}

/// Files of one certificate.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that is trusted.
    pub authority: PathBuf,
}

impl Certificates {
    /// A new authority, whose certificates lie in this directory.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("the directory can be made");
        let now = SystemTime::now();
        let made = Authority::create("a test's authority", now - 2 * DAY, now + 2 * DAY);
        let (authority, own) = made.expect("an authority can be made");
        let certificates = Self {
            authority,
            own,
            directory: directory.to_owned(),
        };
        certificates.write("ca.pem", &certificates.own.certificate);
        certificates
    }

    /// A certificate for a server, and client, at these hosts.
    #[must_use]
    pub fn certify(&self, name: &str, hosts: &[&str]) -> Certified {
        self.issue(name, hosts, SystemTime::now() + DAY)
    }

    /// One whose time is over.
    #[must_use]
    pub fn expired(&self, name: &str) -> Certified {
        self.issue(name, &["127.0.0.1"], SystemTime::now() - Duration::from_secs(60 * 60))
    }

    /// Certificate of the authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    fn issue(&self, name: &str, hosts: &[&str], until: SystemTime) -> Certified {
        let request = Request {
            name: name.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            purpose: Purpose::Node,
            from: SystemTime::now() - DAY,
            until,
        };
        let issued = self.authority.issue(&request).expect("a certificate can be made");
        Certified {
            key: self.write(&format!("{name}.key"), &issued.key),
            certificate: self.write(&format!("{name}.pem"), &issued.certificate),
            authority: self.authority(),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, text).expect("the test's directory can be written");
        path
    }
}

impl Certified {
    /// How a client that shows it calls servers of an authority.
    ///
    /// # Panics
    /// When the files cannot be used.
    #[must_use]
    pub fn client(&self, authority: &Path) -> ClientConfig {
        tls::client_of(authority, Some((&self.certificate, &self.key))).expect("the files can be used")
    }

    /// The settings of a node that say so.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.display().to_string();
        [
            ("TLS_CERT", text(&self.certificate)),
            ("TLS_KEY", text(&self.key)),
            ("TLS_CA", text(&self.authority)),
        ]
    }
}
