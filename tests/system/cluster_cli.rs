//! `elasticore` against real masters that die, come and go: what people type, and what they are told.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use api::member::Role;
use system_tests::soak::{Cluster, Engine};
use system_tests::{Node, binary, eventually};

/// Time for a change of members to be through.
const SETTLED: Duration = Duration::from_secs(30);

/// Somebody at a terminal who knows all masters.
struct Terminal {
    servers: String,
    token: String,
}

/// What a command said.
struct Said {
    out: String,
    err: String,
}

impl Terminal {
    fn of(cluster: &Cluster) -> Self {
        Self::asking_first(cluster, 0)
    }

    fn asking_first(cluster: &Cluster, first: usize) -> Self {
        let mut members: Vec<_> = cluster.members().collect();
        members.sort_by_key(|index| *index != first);
        let address = |index: &usize| format!("http://{}", cluster.masters[*index].public_address());
        let servers: Vec<_> = members.iter().map(address).collect();
        Self {
            servers: servers.join(","),
            token: cluster.token().to_owned(),
        }
    }

    async fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(binary("elasticore"));
        command
            .args(["--server", &self.servers])
            .args(arguments)
            .env_clear()
            .env("CLUSTER_TOKEN", &self.token)
            .kill_on_drop(true);
        tokio::time::timeout(SETTLED, command.output()).await.unwrap().unwrap()
    }

    /// Runs a command, which has to work.
    async fn run(&self, arguments: &[&str]) -> Said {
        let output = self.try_run(arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}: {out}{err}", output.status);
        Said { out, err }
    }
}

async fn leader(cluster: &Cluster) -> usize {
    eventually("a leader", SETTLED, || async {
        let leader = cluster.leader().await.filter(|leader| cluster.masters[*leader].runs());
        leader.ok_or_else(|| "nobody leads".to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_line_finds_its_way_while_leaders_die() {
    let mut cluster = Cluster::start(Engine::Raft, 3, false).await;
    for round in 0..3 {
        let (dying, value) = (leader(&cluster).await, round.to_string());
        let terminal = Terminal::asking_first(&cluster, dying);
        cluster.masters[dying].kill();
        // At once: nobody knows yet that the leader is dead.
        let steps = terminal.run(&["-v", "kv", "set", "round", &value]).await.err;
        for said in ["> PUT http://", "cannot be reached; trying the next address", "< 20"] {
            assert!(steps.contains(said), "no {said:?} in {steps}");
        }
        assert_eq!(terminal.run(&["kv", "get", "round"]).await.out, value);
        let status = terminal.run(&["cluster", "status"]).await.out;
        assert!(
            !status.contains(&format!("{}\tleader", cluster.masters[dying].name())),
            "{status}"
        );
        cluster.masters[dying].start();
        cluster.heal().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_come_and_go_by_the_command_line_and_the_store_moves_as_a_file() {
    let mut cluster = Cluster::start(Engine::Raft, 3, false).await;
    let terminal = Terminal::of(&cluster);
    terminal.run(&["kv", "set", "kept", "value"]).await;

    let new = cluster.newcomer().await;
    let (name, address) = (cluster.masters[new].name().to_owned(), cluster.masters[new].private_address());
    let added = terminal.run(&["cluster", "add", &name, &address]).await.out;
    assert!(added.contains(&format!("{name}\tlearner")), "{added}");
    cluster.masters[new].start();
    eventually("the newcomer to vote", SETTLED, || async {
        let list = terminal.run(&["cluster", "list"]).await.out;
        if list.contains(&format!("{name}\tvoter")) {
            Ok(())
        } else {
            Err(list)
        }
    })
    .await;

    // It leads, and is taken out while it does.
    assert_eq!(
        terminal.run(&["cluster", "transfer-leader", &name]).await.out,
        format!("{name} leads\n")
    );
    terminal.run(&["cluster", "remove", &name]).await;
    let list = terminal.run(&["cluster", "list"]).await.out;
    assert!(!list.contains(&name) && list.contains("\tleader\t"), "{list}");
    let again = terminal.try_run(&["cluster", "remove", &name]).await;
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("there is no master"),
        "{again:?}"
    );

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    let file = path("saved");
    let saved = terminal.run(&["cluster", "snapshot", file.to_str().unwrap()]).await.out;
    assert!(saved.starts_with("saved "), "{saved}");
    let mut alone = Node::new(Role::Master, 9, cluster.token(), directory.path());
    let raft = path(alone.name()).join("raft");
    let arguments = ["cluster", "restore", file.to_str().unwrap(), "--node-id", alone.name()];
    terminal
        .run(&[&arguments[..], &["--raft-dir", raft.to_str().unwrap()][..]].concat())
        .await;
    alone.start();
    alone.ready(SETTLED).await;
    let elsewhere = Terminal {
        servers: format!("http://{}", alone.public_address()),
        token: String::new(),
    };
    assert_eq!(elsewhere.run(&["kv", "get", "kept"]).await.out, "value");
}
