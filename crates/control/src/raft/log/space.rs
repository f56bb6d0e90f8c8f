//! A full disk: nothing is broken, so the writer waits until there is space again. What comes in meanwhile waits too.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::super::disk::is_full;
use super::writer::{Job, Writer};

/// Pause between looks at what comes in, and whether the engine stops.
const PAUSE: Duration = Duration::from_millis(100);
/// At every so manieth look the disk is probed.
const LOOKS: u32 = 5;
/// Space there must be, beside what waits, before writing goes on.
const PROBE_BYTES: usize = 1024 * 1024;
const PROBE: &str = "probe";

impl Writer {
    /// Waits until there is space. An error ends the log.
    pub(super) fn wait_for_space(&mut self, jobs: &mut UnboundedReceiver<Job>, error: &io::Error) -> io::Result<()> {
        self.fills_up(error);
        let mut looks = 0;
        while !self.has_space(jobs, &mut looks)? {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The same on a disk that is only imagined.
    pub(super) async fn wait_for_imagined_space(
        &mut self,
        jobs: &mut UnboundedReceiver<Job>,
        error: &io::Error,
    ) -> io::Result<()> {
        self.fills_up(error);
        let mut looks = 0;
        while !self.has_space(jobs, &mut looks)? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn fills_up(&self, error: &io::Error) {
        let dir = self.dir.display().to_string();
        tracing::error!(dir, %error, "the disk of the raft log is full; nothing is written until there is space");
        self.full.send_replace(true);
    }

    /// Takes in what has come, and looks now and then whether it would fit.
    fn has_space(&mut self, jobs: &mut UnboundedReceiver<Job>, looks: &mut u32) -> io::Result<bool> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk of the raft log is full, and the engine stops"));
        }
        loop {
            match jobs.try_recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(io::Error::other("nobody waits for the raft log any more")),
            }
        }
        *looks += 1;
        if !looks.is_multiple_of(LOOKS) {
            return Ok(false);
        }
        match self.probe() {
            Ok(()) => {
                self.full.send_replace(false);
                tracing::info!(dir = %self.dir.display(), "there is space for the raft log again");
                Ok(true)
            }
            Err(error) if is_full(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.dir.join(PROBE);
        let mut file = self.disk.create(&path)?;
        let written = file.append(&vec![0; PROBE_BYTES + self.buffer.len()]);
        drop(file);
        self.disk.remove(&path)?;
        written
    }
}
