//! What an etcd cluster says of itself, in types that are there whether the engine is compiled in or not.

#[cfg(not(feature = "etcd"))]
use crate::Result;

/// An etcd cluster, seen through those of its members that answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EtcdView {
    /// Its identity.
    pub cluster_id: u64,
    /// The member that leads.
    pub leader: Option<u64>,
    /// Term of its protocol.
    pub term: u64,
    /// Index of the last log entry of the furthest member.
    pub index: u64,
    /// Index of the last applied one there.
    pub applied: u64,
    /// Revision of the store.
    pub revision: u64,
    /// Bytes of its file.
    pub db_bytes: u64,
    /// Bytes its file may take, when it says so (3.6 does).
    pub db_quota: Option<u64>,
    /// Members that answered.
    pub heard_from: usize,
    /// All of them.
    pub members: Vec<EtcdMember>,
}

impl EtcdView {
    /// Whether a majority of the voters answers, and knows a leader.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        let voters = self.members.iter().filter(|member| !member.is_learner);
        let live = voters.clone().filter(|member| member.index.is_some()).count();
        self.leader.is_some() && live * 2 > voters.count()
    }
}

/// A member of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdMember {
    /// Its identity.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The first of its peer URLs.
    pub address: String,
    /// Whether it does not vote.
    pub is_learner: bool,
    /// Index of its last log entry, when it answers.
    pub index: Option<u64>,
}

/// Stands where the etcd engine would: there is none in this binary, so nobody has one of these.
#[cfg(not(feature = "etcd"))]
#[derive(Debug)]
pub enum EtcdAdmin {}

#[cfg(not(feature = "etcd"))]
impl EtcdAdmin {
    /// Says that this binary cannot.
    ///
    /// # Errors
    /// Always.
    pub async fn connect(_endpoints: &[String], _access: &crate::EtcdAccess) -> Result<Self> {
        let reason = "this binary was built without the etcd engine; rebuild with --features etcd";
        Err(crate::Error::Invalid(reason.to_owned()))
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub async fn view(&self) -> Result<EtcdView> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, is_learner: bool, index: Option<u64>) -> EtcdMember {
        EtcdMember {
            id,
            name: format!("etcd-{id}"),
            address: String::new(),
            is_learner,
            index,
        }
    }

    #[test]
    fn quorum_is_a_majority_of_voters_with_a_leader() {
        let mut view = EtcdView {
            leader: Some(1),
            members: vec![member(1, false, Some(9)), member(2, false, None), member(3, true, Some(9))],
            ..EtcdView::default()
        };
        assert!(!view.has_quorum(), "one of two voters, and a learner");
        view.members[1].index = Some(8);
        assert!(view.has_quorum());
        view.leader = None;
        assert!(!view.has_quorum());
    }
}
