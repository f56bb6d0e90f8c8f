//! `elasticore up`: the real stack, as a process, through the commands it prints.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::program::{Ended, command, end, run};

/// Longest start or stop, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(90);

/// A stack that has said it is ready.
struct Up {
    child: Child,
    stdout: BufReader<tokio::process::ChildStdout>,
    banner: serde_json::Value,
}

impl Up {
    /// Starts one on free ports, in the directory of the workspace, where the sample tables are.
    async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same, with these variables.
    async fn start_with(data: &Path, variables: &[(&str, &str)]) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let arguments = ["up", "--port", "0", "--output", "json", "--data", data.to_str().unwrap()];
        let mut command = command("http://unused:1", &arguments);
        let mut child = command
            .envs(variables.iter().copied())
            .current_dir(workspace)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(1..))) {
            child.start_kill().unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
            panic!("it did not come up: {said}");
        }
        Self {
            banner: serde_json::from_str(&line).unwrap(),
            child,
            stdout,
        }
    }

    fn endpoint(&self) -> &str {
        self.banner["endpoint"].as_str().unwrap()
    }

    fn commands(&self) -> Vec<&str> {
        self.banner["commands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|command| command.as_str().unwrap())
            .collect()
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    /// Asks it to stop, and gives back how it did.
    async fn stop(mut self, signal: &str) -> Ended {
        self.signal(signal).await;
        let mut rest = String::new();
        timeout(PATIENCE, self.stdout.read_to_string(&mut rest))
            .await
            .expect("it stops")
            .unwrap();
        assert_eq!(rest, "", "the banner was all that goes to standard output");
        end(self.child).await
    }
}

async fn shell(script: &str) -> Ended {
    let child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    end(child.unwrap()).await
}

#[tokio::test]
async fn commands_it_prints_work_and_what_was_stored_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    assert_eq!(up.banner["nodes"].as_object().unwrap().len(), 6, "{}", up.banner);
    let expected = ["\"version\":", "hello", "blue", "segment\torders\ttotal\n", "NODE\tROLE\t"];
    for (script, expected) in up.commands().into_iter().zip(expected) {
        // What curl says of a refusal it says on standard output; --fail makes it an exit code.
        let ended = shell(&script.replace("curl ", "curl --fail -s ")).await;
        assert_eq!(ended.code, 0, "{script}\n{}{}", ended.text(), ended.stderr);
        assert!(ended.text().contains(expected), "{script}\n{}", ended.text());
    }
    let endpoint = up.endpoint();
    let job = run(endpoint, &["jobs", "submit", "--wait", "--output", "json", "SELECT 1 AS one"]).await;
    assert_eq!(job.text().trim_end(), "[{\"one\":1}]", "{}", job.stderr);
    let jobs = run(endpoint, &["jobs", "list"]).await;
    assert_eq!(jobs.text().matches("\tsucceeded\t").count(), 2, "{}", jobs.text());
    let ids: Vec<String> = jobs.text().lines().skip(1).map(|line| line[..36].to_owned()).collect();

    let stopped = up.stop("-TERM").await;
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("stopping") && stopped.stderr.contains("stopped"),
        "{}",
        stopped.stderr
    );

    let up = Up::start(data.path()).await;
    assert_eq!(run(up.endpoint(), &["kv", "get", "color"]).await.text(), "blue");
    for id in ids {
        let status = run(up.endpoint(), &["jobs", "status", &id]).await;
        assert!(
            status.text().contains("state\tsucceeded\n"),
            "{}{}",
            status.text(),
            status.stderr
        );
    }
    assert_eq!(up.stop("-INT").await.code, 0);
}

#[tokio::test]
async fn with_a_root_key_callers_have_to_be_known() {
    let (data, root) = (tempfile::tempdir().unwrap(), "a-root-key-of-more-than-thirty-two-letters");
    let up = Up::start_with(data.path(), &[("ELASTICORE_ROOT_KEY", root)]).await;
    let unknown = run(up.endpoint(), &["nodes"]).await;
    assert!(unknown.code == 1 && unknown.stderr.contains("who asks"), "{}", unknown.stderr);
    let grant = "writer:team-*:cache,kv";
    let made = run(up.endpoint(), &["--api-key", root, "auth", "create", "ci", "--grant", grant]).await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let key = made.text().trim();
    let me = run(up.endpoint(), &["--api-key", key, "auth", "whoami", "--output", "json"]).await;
    assert!(me.text().contains(grant), "{}{}", me.text(), me.stderr);
    for (namespace, code) in [("team-a", 0), ("other", 1)] {
        let arguments = ["--api-key", key, "kv", "set", "k", "v", "--namespace", namespace];
        let ended = run(up.endpoint(), &arguments).await;
        assert_eq!(ended.code, code, "{namespace}: {}", ended.stderr);
    }
    let read = run(up.endpoint(), &["--api-key", key, "kv", "get", "k", "--namespace", "team-a"]).await;
    assert_eq!(read.text(), "v", "{}", read.stderr);
    let nodes = run(up.endpoint(), &["--api-key", key, "nodes"]).await;
    assert!(
        nodes.code == 1 && nodes.stderr.contains("reader:*:cluster"),
        "{}",
        nodes.stderr
    );
    assert_eq!(up.stop("-TERM").await.code, 0);
    let weak = run(
        "http://unused:1",
        &[
            "up",
            "--port",
            "0",
            "--root-key",
            "short",
            "--data",
            data.path().to_str().unwrap(),
        ],
    )
    .await;
    assert_one_line(&weak, "fewer than 32 characters");
}

#[tokio::test]
async fn second_stack_on_the_same_data_is_refused_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    let refused = run(
        "http://unused:1",
        &["up", "--port", "0", "--data", data.path().to_str().unwrap()],
    )
    .await;
    assert_one_line(&refused, "is in use by another stack");
    assert_eq!(up.stop("-INT").await.code, 0);
}

#[tokio::test]
async fn taken_port_is_refused_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = run(
        "http://unused:1",
        &["up", "--port", &port, "--free-ports", "--data", data.path().to_str().unwrap()],
    )
    .await;
    assert_one_line(&refused, &format!("port {port} is taken"));
}

#[tokio::test]
async fn stack_that_is_not_ready_in_time_says_what_it_waits_for() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().to_str().unwrap();
    let late = run(
        "http://unused:1",
        &["up", "--port", "0", "--wait-timeout", "1ms", "--data", directory],
    )
    .await;
    assert_one_line(&late, "not ready within 1ms: still starting");
}

#[tokio::test]
async fn unusable_data_directory_is_refused_in_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("data");
    let refused = run("http://unused:1", &["up", "--port", "0", "--data", below.to_str().unwrap()]).await;
    assert_one_line(&refused, "cannot use the data directory");
}

#[tokio::test]
async fn damaged_log_is_refused_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    for number in 0..50 {
        assert_eq!(
            run(up.endpoint(), &["kv", "set", &format!("key-{number}"), "value"])
                .await
                .code,
            0
        );
    }
    assert_eq!(up.stop("-INT").await.code, 0);
    let logs = files_below(&data.path().join("control"));
    let log = logs
        .iter()
        .max_by_key(|path| path.metadata().unwrap().len())
        .expect("the store has files");
    let mut bytes = std::fs::read(log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(log, bytes).unwrap();
    let refused = run(
        "http://unused:1",
        &["up", "--port", "0", "--data", data.path().to_str().unwrap()],
    )
    .await;
    assert_one_line(&refused, "master-1 cannot start");
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

fn assert_one_line(refused: &Ended, expected: &str) {
    assert_eq!((refused.code, refused.text()), (1, ""), "{}", refused.stderr);
    assert_eq!(refused.stderr.trim_end().lines().count(), 1, "{}", refused.stderr);
    assert!(
        refused.stderr.starts_with("elasticore: ") && refused.stderr.contains(expected),
        "{}",
        refused.stderr
    );
}
