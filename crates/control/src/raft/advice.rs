//! What is said about a directory that cannot be trusted.

/// The ways out. An older copy is none: a master that has forgotten what it said may say something else.
pub(super) const ADVICE: &str = "Never put back an older copy of RAFT_DIR. With other masters, `elasticore cluster remove` this one, \
    empty RAFT_DIR, and `elasticore cluster add` it again; a single one is made anew by `elasticore cluster restore` from a saved \
    snapshot";
