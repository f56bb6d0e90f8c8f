//! What etcd is shown: a certificate, a user, both or nothing.

use std::fmt;

use tls::Tls;

/// How this node proves to etcd who it is.
#[derive(Clone, Default)]
pub struct EtcdAccess {
    /// Certificate and trusted authorities, for `https` endpoints; followed when it is renewed.
    pub tls: Option<Tls>,
    /// Name and password of one of etcd's users, where its authentication is enabled.
    pub user: Option<(String, String)>,
}

impl fmt::Debug for EtcdAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|(name, _)| name);
        f.debug_struct("EtcdAccess")
            .field("tls", &self.tls.is_some())
            .field("user", &user)
            .finish()
    }
}
