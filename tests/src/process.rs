//! A child process whose words are kept and which never outlives the test.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Lines of a log shown when a test fails.
const SHOWN_LINES: usize = 60;
/// Time to end when asked to, before it is killed.
const GENTLE: Duration = Duration::from_secs(2);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
    /// Asked to stop before it is killed when dropped: for programs with children of their own.
    gentle: bool,
}

impl Process {
    /// Starts it; both its outputs are appended to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .expect("the test's directory can be written")
        };
        let child = command.stdin(Stdio::null()).stdout(open()).stderr(open()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}: {command:?}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
            ended: None,
            gentle: false,
        }
    }

    /// Ends it with SIGTERM first when dropped.
    #[must_use]
    pub const fn gently(mut self) -> Self {
        self.gentle = true;
        self
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Sends a signal by name (`INT`, `TERM`, `STOP`, `CONT`).
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([format!("-{signal}"), self.id().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill -{signal} {} failed",
            self.name
        );
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it still runs at the deadline.
    pub async fn exit(&mut self, within: Duration) -> ExitStatus {
        let give_up = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < give_up, "{} still runs after {within:?}", self.name);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends it as a crash would (SIGKILL).
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            // It may end at this moment by itself, which is as good.
            self.child.kill().ok();
            self.ended = self.child.wait().ok();
        }
    }

    fn stop_gently(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.signal("TERM");
        let give_up = Instant::now() + GENTLE;
        while self.ended().is_none() && Instant::now() < give_up {
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            let state = self.ended().map_or_else(|| "running".to_owned(), |status| status.to_string());
            eprintln!("──── {} ({state}), the end of its log\n{}", self.name, shown.join("\n"));
        }
        if self.gentle {
            self.stop_gently();
        }
        self.kill();
    }
}
