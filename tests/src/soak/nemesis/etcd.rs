//! What breaks beside the masters: servers of etcd, and the ways to them.

use control::conformance::EtcdServer;

use super::Nemesis;
use crate::Etcd;

impl Nemesis<'_> {
    pub(super) async fn strike_etcd(&mut self) {
        let count = self.cluster.etcd.as_mut().map_or(0, |etcd| etcd.servers().count());
        let index = self.rng.usize(..count.max(1));
        let kills = self.rng.bool();
        self.note(format!("{} etcd-{}", if kills { "kill -9" } else { "SIGSTOP" }, index + 1));
        if let Some(server) = self.etcd(index) {
            if kills { server.kill() } else { server.pause() }
        }
        self.hold(2.0, 4.0).await;
        self.note(format!("etcd-{} goes on", index + 1));
        if let Some(server) = self.etcd(index) {
            if kills { server.restart().await } else { server.resume() }
        }
    }

    /// A master loses all servers, all masters lose one server, or one loses one.
    pub(super) async fn cut_etcd(&mut self) {
        let masters: Vec<_> = self.cluster.members().collect();
        let servers: Vec<_> = (0..self.cluster.etcd.as_mut().map_or(0, |etcd| etcd.servers().count())).collect();
        let (master, server) = (self.rng.usize(..masters.len()), self.rng.usize(..servers.len().max(1)));
        let (lost, unreached) = match self.rng.u8(..3) {
            0 => (&masters[master..=master], servers.as_slice()),
            1 => (masters.as_slice(), &servers[server..=server]),
            _ => (&masters[master..=master], &servers[server..=server]),
        };
        let names: Vec<_> = unreached.iter().map(|index| format!("etcd-{}", index + 1)).collect();
        self.note(format!("cut {} off from {}", self.names(lost), names.join(", ")));
        self.cluster.lose_etcd(lost, unreached);
        self.hold(2.5, 5.0).await;
        self.note("all reach etcd again".to_owned());
        self.cluster.reach_etcd();
    }

    fn etcd(&mut self, index: usize) -> Option<&mut EtcdServer> {
        self.cluster.etcd.as_mut().map(Etcd::servers)?.nth(index)
    }
}
