//! The front door, as it is deployed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::{Port, Process, eventually};

/// A running NGINX before some masters.
#[derive(Debug)]
pub struct Nginx {
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
        let (port, status_port) = (Port::reserve(), Port::reserve());
        let runtime = directory.join("nginx");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../nginx/start");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .arg(script)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .env("MASTERS", masters.join(" "))
            .env("LISTEN", port.address())
            .env("STATUS_LISTEN", status_port.address())
            .env("RUNTIME_DIR", &runtime)
            .env("WORKERS", "1")
            .env("ACCESS_LOG", "off");
        let process = Process::start("nginx", &mut command, &directory.join("nginx.log")).gently();
        let nginx = Self {
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
        self.port.address()
    }

    /// Everything it said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
