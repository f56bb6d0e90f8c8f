//! The front door, as it is deployed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::network::{self, Place};
use crate::{Certificates, Port, Process, eventually};

/// A running NGINX before some masters.
#[derive(Debug)]
pub struct Nginx {
    host: String,
    port: Port,
    _status_port: Port,
    process: Process,
}

impl Nginx {
    /// Starts it, by the script that the container runs.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(masters: &[String], directory: &Path) -> Self {
        Self::start_in(None, None, masters, directory).await
    }

    /// Starts it in a network namespace, or with TLS on both sides, or both.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_in(
        place: Option<&Place>,
        certificates: Option<&Certificates>,
        masters: &[String],
        directory: &Path,
    ) -> Self {
        let (port, status_port) = (Port::reserve(), Port::reserve());
        let host = place.map_or("127.0.0.1", |place| &place.address);
        let runtime = directory.join("nginx");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../nginx/start");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = match place {
            None => Command::new("sh"),
            Some(place) => network::inside(&place.namespace, Path::new("/bin/sh")),
        };
        if let Some(certificates) = certificates {
            let certified = certificates.certify("nginx", &[host]);
            command
                .env("TLS_CERT", certified.certificate)
                .env("TLS_KEY", certified.key)
                .env("MASTERS_TLS_CA", certified.authority);
        }
        command
            .arg(script)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .env("MASTERS", masters.join(" "))
            .env("LISTEN", format!("{host}:{}", port.number()))
            .env("STATUS_LISTEN", status_port.address())
            .env("RUNTIME_DIR", &runtime)
            .env("WORKERS", "1")
            .env("ACCESS_LOG", "off");
        let process = Process::start("nginx", &mut command, &directory.join("nginx.log")).gently();
        let nginx = Self {
            host: host.to_owned(),
            port,
            _status_port: status_port,
            process,
        };
        let address = nginx.address();
        eventually(
            "NGINX to listen (is it installed? Debian: nginx)",
            Duration::from_secs(20),
            || async {
                TcpStream::connect(&address)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            },
        )
        .await;
        nginx
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port.number())
    }

    /// Everything it said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
