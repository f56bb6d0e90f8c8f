//! The ways to make a stack.

use api::member::Role;

use crate::Sandbox;

/// What a stack is made of.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) masters: usize,
    pub(crate) auxiliaries: usize,
    pub(crate) workers: usize,
    /// Servers; none for the built-in engine.
    pub(crate) etcd: Option<usize>,
    pub(crate) nginx: bool,
    pub(crate) apart: bool,
    pub(crate) encrypted: bool,
    pub(crate) settings: Vec<(Role, String, String)>,
}

impl Builder {
    /// So many auxiliaries (3 unless set).
    #[must_use]
    pub const fn auxiliaries(mut self, count: usize) -> Self {
        self.auxiliaries = count;
        self
    }

    /// So many workers (2 unless set).
    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// So many masters; those of the built-in engine form one cluster.
    #[must_use]
    pub const fn masters(mut self, count: usize) -> Self {
        self.masters = count;
        self
    }

    /// With TLS wherever it can be spoken: to the front door, from there to the masters, and between nodes.
    #[must_use]
    pub const fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// With NGINX before the masters; the others join through it.
    #[must_use]
    pub const fn nginx(mut self) -> Self {
        self.nginx = true;
        self
    }

    /// Without NGINX: clients and nodes ask the masters themselves.
    #[must_use]
    pub const fn without_nginx(mut self) -> Self {
        self.nginx = false;
        self
    }

    /// With every node in a network namespace of its own, so that any two can be parted; and without NGINX.
    #[must_use]
    pub const fn apart(mut self) -> Self {
        self.apart = true;
        self.nginx = false;
        self
    }

    /// With a setting for every node of a role.
    #[must_use]
    pub fn set(mut self, role: Role, name: &str, value: impl ToString) -> Self {
        self.settings.push((role, name.to_owned(), value.to_string()));
        self
    }

    /// Starts everything and waits until all of it works.
    ///
    /// # Panics
    /// When a part does not come up.
    pub async fn start(self) -> Sandbox {
        Sandbox::build(self).await
    }
}
