//! The whole stack in one process, as the README starts it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use system_tests::{Api, Port, Process, binary, eventually};
use tempfile::TempDir;

/// From start to banner, on a machine that does other things too.
const READY: Duration = Duration::from_secs(60);
/// From Ctrl-C to the end, whoever is connected.
const STOPPED: Duration = Duration::from_secs(6);

/// `elasticore up` on a directory and a port of its own.
pub(super) struct Up {
    directory: TempDir,
    port: Port,
}

impl Up {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            port: Port::reserve(),
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self) -> Command {
        self.command_on(self.port.number())
    }

    fn command_on(&self, port: u16) -> Command {
        let mut command = Command::new(binary("elasticore"));
        command
            .args(["up", "--free-ports", "--port", &port.to_string()])
            .arg("--data")
            .arg(self.data());
        // Without the sample data of the checkout: the smallest machine there is.
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    pub(super) fn start(&self, life: u32) -> Process {
        self.start_with(life, &[])
    }

    /// With more variables.
    pub(super) fn start_with(&self, life: u32, variables: &[(&str, &str)]) -> Process {
        Process::start(
            &format!("up, life {life}"),
            self.command().envs(variables.iter().copied()),
            &self.directory.path().join(format!("up-{life}.log")),
        )
    }

    /// Where it answers.
    pub(super) fn address(&self) -> String {
        self.port.address()
    }

    pub(super) fn api(&self) -> Api {
        Api::at(&self.address())
    }
}

/// Waits for the banner and gives the commands it prints.
pub(super) async fn banner(process: &mut Process) -> Vec<String> {
    let process = std::cell::RefCell::new(process);
    let text = eventually("the banner", READY, || async {
        let mut process = process.borrow_mut();
        let log = process.log();
        if log.contains("Ctrl-C stops it") {
            return Ok(log);
        }
        assert!(process.ended().is_none(), "it ended: {log}");
        Err(log)
    })
    .await;
    let (_, commands) = text
        .split_once("Try, in another terminal:\n\n")
        .expect("the banner offers commands");
    commands
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim().to_owned())
        .collect()
}

pub(super) async fn interrupt(mut process: Process) {
    process.signal("INT");
    let status = process.exit(STOPPED).await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
    assert!(!process.log().contains("panicked"), "{}", process.log());
}

/// Output of a shell command, which succeeds.
fn shell(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{command}\n{out}\n{err}");
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_prints_commands_that_work_and_keeps_what_was_stored_over_a_restart() {
    let up = Up::new();
    let mut process = up.start(1);
    let commands = banner(&mut process).await;
    assert_eq!(commands.len(), 5, "{commands:?}");
    let outputs: Vec<_> = commands.iter().map(|command| shell(command)).collect();
    // Written, read back, stored, computed, listed.
    let read_back = outputs[1].starts_with("HTTP/1.1 200") && outputs[1].ends_with("hello");
    assert!(read_back, "{}", outputs[1]);
    assert!(outputs[3].lines().count() > 2, "{}", outputs[3]);
    assert!(
        outputs[4].contains("auxiliary-3") && outputs[4].contains("worker-2"),
        "{}",
        outputs[4]
    );

    let api = up.api();
    let key = api.get("/kv/color").await.expect(200);
    assert_eq!(key.text(), "blue");
    let jobs = api.get("/jobs").await.expect(200).json();
    let id = jobs["items"][0]["id"].as_str().unwrap().to_owned();
    let rows = api.result(&id, "json").await.json();
    // Neither an idle connection nor a stream without an end holds it up.
    let stream = api.request("GET", "/kv/_watch").stream().await;
    interrupt(process).await;
    drop(stream);

    let mut process = up.start(2);
    banner(&mut process).await;
    let api = up.api();
    let again = api.get("/kv/color").await.expect(200);
    assert_eq!((again.text(), again.header("etag")), (key.text(), key.header("etag")));
    assert_eq!(api.get("/jobs").await.expect(200).json()["items"], jobs["items"]);
    assert_eq!(api.result(&id, "json").await.json(), rows);
    assert_eq!(api.get("/cache/greeting").await.expect(200).text(), "hello");

    // The directory has one owner.
    refused(&mut up.command_on(0), &["in use", &process.id().to_string()]).await;
    interrupt(process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_says_in_one_line_why_it_cannot_start() {
    let up = Up::new();
    let taken = TcpListener::bind(("127.0.0.1", up.port.number())).unwrap();
    refused(&mut up.command(), &["port", &up.port.number().to_string(), "taken"]).await;
    drop(taken);

    let elsewhere = |data: &str| {
        let mut command = Command::new(binary("elasticore"));
        command.args(["up", "--port", "0", "--data", data]);
        command
    };
    refused(&mut elsewhere("/dev/null/x"), &["/dev/null/x", "--data"]).await;
    refused(&mut elsewhere("/proc/x"), &["/proc/x", "--data"]).await;

    // A log damaged inside, not at its end: keys that were acknowledged are in it.
    let mut process = up.start(1);
    banner(&mut process).await;
    let api = up.api();
    for i in 0..50 {
        api.put(&format!("/kv/key-{i}"), "v".repeat(200)).await.expect(201);
    }
    process.kill();
    let log = segments(&up.data()).into_iter().max_by_key(|(_, bytes)| bytes.len());
    let (path, mut bytes) = log.expect("the log has a segment");
    let at = bytes
        .windows(6)
        .position(|window| window == b"key-10")
        .expect("keys are in the log as they are");
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    refused(&mut up.command(), &[path.file_name().unwrap().to_str().unwrap()]).await;
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "a damaged log is left as it is");

    // Mended, all is there again: a refusal has harmed nothing.
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut process = up.start(2);
    banner(&mut process).await;
    for i in 0..50 {
        api.get(&format!("/kv/key-{i}")).await.expect(200);
    }
    interrupt(process).await;
}

/// Segments of the control store's log.
fn segments(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(segments(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "log" || extension == "wal")
        {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found
}

/// It ends by itself with a code that says so, and with one line that contains all of these.
async fn refused(command: &mut Command, words: &[&str]) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut process = Process::start("up", command, log.path());
    let status = process.exit(READY).await;
    let said = process.log();
    let code = status.code();
    assert!(code.is_some_and(|code| code != 0 && code != 101), "{status}: {said}");
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "one line: {said}");
    assert!(
        lines[0].starts_with("elasticore: ") && words.iter().all(|word| lines[0].contains(word)),
        "{words:?}: {said}"
    );
}
