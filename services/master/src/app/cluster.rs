//! The control store's own members: who they are, how they are, and changes of them. With the built-in engine those are the
//! masters, whoever is asked; an etcd cluster is looked at here, and changed with etcd's own tools.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::NodeId;
use api::raft::{Engine, StoreMember, StoreRole, StoreStatus};
use control::raft::{Member, MemberRole, RaftStatus, RaftStore, SnapshotExport};
use control::{Error, EtcdAdmin, EtcdView};

/// Who keeps the control store.
#[derive(Debug)]
pub enum Cluster {
    /// The masters.
    Raft(Arc<RaftStore>),
    /// An etcd cluster.
    Etcd(EtcdAdmin),
}

impl Cluster {
    /// Every member, in order of the names.
    ///
    /// # Errors
    /// When the leader does not answer.
    pub async fn members(&self) -> Result<Vec<StoreMember>, Error> {
        match self {
            Self::Raft(store) => Ok(raft_members(store.members().await?)),
            Self::Etcd(admin) => Ok(etcd_members(&admin.view().await?)),
        }
    }

    /// How the store is. The built-in engine always has an answer: what this master knows.
    ///
    /// # Errors
    /// When no member of an etcd cluster answers.
    pub async fn status(&self, me: &NodeId) -> Result<StoreStatus, Error> {
        match self {
            Self::Raft(store) => Ok(raft_status(store.status().await, me)),
            Self::Etcd(admin) => Ok(etcd_status(&admin.view().await?, me)),
        }
    }

    /// Makes a place for another master: a learner, which becomes a voter by itself once it is up to date.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the name or the address is taken, another change is under way, or there are enough.
    pub async fn add(&self, name: &NodeId, address: &str) -> Result<StoreMember, Error> {
        let store = self.raft()?;
        Ok(raft_member(store.add_member(name.as_str(), address).await?))
    }

    /// Takes a member out for good.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it must stay.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.raft()?.remove_member(name).await
    }

    /// Has another member lead: this one, or whoever is furthest. Gives the name of the new leader.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it cannot lead.
    pub async fn transfer_leader(&self, to: Option<&str>) -> Result<String, Error> {
        self.raft()?.transfer_leader(to).await
    }

    /// The whole store as it is now.
    ///
    /// # Errors
    /// When the leader does not answer.
    pub async fn snapshot(&self) -> Result<SnapshotExport, Error> {
        match self {
            Self::Raft(store) => store.snapshot().await,
            Self::Etcd(_) => Err(Error::Conflict(
                "the control store is etcd's: use `etcdctl snapshot save`".to_owned(),
            )),
        }
    }

    fn raft(&self) -> Result<&RaftStore, Error> {
        match self {
            Self::Raft(store) => Ok(store),
            Self::Etcd(_) => Err(Error::Conflict(
                "the membership is etcd's: use `etcdctl member` and `etcdctl move-leader`".to_owned(),
            )),
        }
    }
}

fn raft_members(members: Vec<Member>) -> Vec<StoreMember> {
    sorted(members.into_iter().map(raft_member))
}

fn raft_member(member: Member) -> StoreMember {
    StoreMember {
        name: member.name,
        id: hexadecimal(member.id),
        address: member.address,
        role: match member.role {
            MemberRole::Leader => StoreRole::Leader,
            MemberRole::Voter => StoreRole::Voter,
            MemberRole::Learner => StoreRole::Learner,
        },
        matched: member.matched,
        lag: member.lag,
        silent_ms: member.silent_ms,
        disk_full: member.disk_full,
    }
}

fn raft_status(status: RaftStatus, me: &NodeId) -> StoreStatus {
    StoreStatus {
        engine: Engine::Raft,
        cluster_id: status.cluster_id,
        answered_by: me.to_string(),
        leader: status.leader,
        term: status.term,
        committed: status.committed,
        applied: status.applied,
        snapshot: Some(status.snapshot),
        revision: status.revision,
        db_bytes: status.db_bytes,
        kv_bytes: Some(status.kv_bytes),
        quota: Some(status.kv_quota_bytes),
        disk_full: status.disk_full,
        quorum: status.quorum,
        trouble: status.trouble,
        members: raft_members(status.members),
    }
}

fn etcd_members(view: &EtcdView) -> Vec<StoreMember> {
    let member = |member: &control::EtcdMember| StoreMember {
        name: member.name.clone(),
        id: hexadecimal(member.id),
        address: authority(&member.address).to_owned(),
        role: match (view.leader == Some(member.id), member.is_learner) {
            (true, _) => StoreRole::Leader,
            (false, true) => StoreRole::Learner,
            (false, false) => StoreRole::Voter,
        },
        matched: member.index,
        lag: member.index.map(|index| view.index.saturating_sub(index)),
        silent_ms: None,
        disk_full: false,
    };
    sorted(view.members.iter().map(member))
}

fn etcd_status(view: &EtcdView, me: &NodeId) -> StoreStatus {
    let names: BTreeMap<u64, &str> = view.members.iter().map(|member| (member.id, member.name.as_str())).collect();
    let silent = view.members.iter().filter(|member| member.index.is_none());
    let silent: Vec<&str> = silent.map(|member| member.name.as_str()).collect();
    let quorum = view.has_quorum();
    StoreStatus {
        engine: Engine::Etcd,
        cluster_id: hexadecimal(view.cluster_id),
        answered_by: me.to_string(),
        leader: view
            .leader
            .and_then(|leader| names.get(&leader))
            .map(|name| (*name).to_owned()),
        term: view.term,
        committed: view.index,
        applied: view.applied,
        snapshot: None,
        revision: view.revision,
        db_bytes: view.db_bytes,
        kv_bytes: None,
        quota: view.db_quota,
        disk_full: false,
        quorum,
        trouble: match (quorum, silent.as_slice()) {
            (true, []) => None,
            (true, silent) => Some(format!("no answer from {}", silent.join(", "))),
            (false, []) => Some("no leader".to_owned()),
            (false, silent) => Some(format!("no majority: no answer from {}", silent.join(", "))),
        },
        members: etcd_members(view),
    }
}

fn sorted(members: impl Iterator<Item = StoreMember>) -> Vec<StoreMember> {
    let mut members: Vec<StoreMember> = members.collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members
}

/// Too large for a number in JSON.
fn hexadecimal(id: u64) -> String {
    format!("{id:016x}")
}

/// `host:port` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use control::EtcdMember;

    use super::*;

    #[test]
    fn etcd_is_shown_in_the_same_words() {
        let member = |id, name: &str, index| EtcdMember {
            id,
            name: name.to_owned(),
            address: format!("http://{name}:2380"),
            is_learner: false,
            index,
        };
        let view = EtcdView {
            cluster_id: 0xabc,
            leader: Some(7),
            term: 3,
            index: 100,
            applied: 99,
            revision: 42,
            heard_from: 2,
            members: vec![
                member(9, "etcd-2", None),
                member(7, "etcd-1", Some(100)),
                member(8, "etcd-3", Some(90)),
            ],
            ..EtcdView::default()
        };
        let status = etcd_status(&view, &NodeId::try_new("master-1").unwrap());
        assert_eq!((status.leader.as_deref(), status.quorum), (Some("etcd-1"), true));
        assert_eq!(status.trouble.as_deref(), Some("no answer from etcd-2"));
        let shown: Vec<_> = status
            .members
            .iter()
            .map(|member| (&*member.name, member.role, member.lag))
            .collect();
        assert_eq!(
            shown,
            [
                ("etcd-1", StoreRole::Leader, Some(0)),
                ("etcd-2", StoreRole::Voter, None),
                ("etcd-3", StoreRole::Voter, Some(10))
            ]
        );
        assert_eq!(
            (&*status.members[0].id, &*status.members[0].address),
            ("0000000000000007", "etcd-1:2380")
        );
    }
}
