//! Running the binary.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// The binary, with nothing of this process's environment that it listens to.
pub(crate) fn command(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elasticore"));
    command
        .args(arguments)
        .env("ELASTICORE_ENDPOINT", endpoint)
        .env_remove("NO_COLOR")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(endpoint: &str, arguments: &[&str]) -> Ended {
    end(command(endpoint, arguments).spawn().unwrap()).await
}

/// Runs the binary with something on its standard input.
pub(crate) async fn run_with(endpoint: &str, arguments: &[&str], stdin: &[u8]) -> Ended {
    let mut child = command(endpoint, arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).await.unwrap();
    end(child).await
}

/// Waits for the end of a run.
pub(crate) async fn end(child: tokio::process::Child) -> Ended {
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output())
        .await
        .expect("it ends")
        .unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
