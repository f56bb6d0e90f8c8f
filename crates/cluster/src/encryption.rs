//! What a node shows, and to whom: its certificate to other nodes, and to etcd that or another one, perhaps with a user's name.

use control::EtcdAccess;
use lifecycle::Tasks;
use telemetry::Registry;
use tls::{Acceptor, Clients, Figures, Files, Tls};

/// The settings that say it, as they are written; empty when they are not set.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncryptionSettings<'a> {
    /// `TLS_CERT`, `TLS_KEY` and `TLS_CA`.
    pub node: [&'a str; 3],
    /// `ETCD_CERT`, `ETCD_KEY` and `ETCD_CA`; those of the node when they are not set.
    pub etcd: [&'a str; 3],
    /// `ETCD_USER` and `ETCD_PASSWORD`.
    pub etcd_user: [&'a str; 2],
    /// `ETCD_ENDPOINTS`.
    pub etcd_endpoints: &'a [String],
    /// `ADVERTISE_ADDR`, which the node's certificate must name.
    pub host: &'a str,
}

/// Certificates in use, which follow their files while [`Encryption::follow`] does.
#[derive(Debug, Clone, Default)]
pub struct Encryption {
    /// What is shown to other nodes; none for plain connections.
    pub node: Option<Tls>,
    /// What is shown to etcd.
    pub etcd: EtcdAccess,
}

impl EncryptionSettings<'_> {
    /// What is wrong with them, without a look at the files.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = [self.node_files().err(), self.etcd_files().err()]
            .into_iter()
            .flatten()
            .map(|error| error.to_string())
            .collect();
        let shown = problems.is_empty() && (self.shows_certificate("TLS") || self.shows_certificate("ETCD"));
        let encrypted = |endpoint: &&String| endpoint.starts_with("https://");
        let plain = self.etcd_endpoints.iter().find(|endpoint| !encrypted(endpoint));
        if let Some(endpoint) =
            plain.filter(|_| self.shows_certificate("ETCD") || self.etcd_endpoints.iter().any(|e| encrypted(&e)))
        {
            problems.push(format!(
                "{endpoint} in ETCD_ENDPOINTS is not encrypted: write https:// before all of them"
            ));
        } else if problems.is_empty() && !shown && self.etcd_endpoints.iter().any(|endpoint| encrypted(&endpoint)) {
            problems.push(
                "ETCD_ENDPOINTS are encrypted: set ETCD_CERT, ETCD_KEY and ETCD_CA, or TLS_CERT, TLS_KEY and TLS_CA".to_owned(),
            );
        }
        let [user, password] = self.etcd_user;
        if user.is_empty() != password.is_empty() {
            problems.push("ETCD_USER and ETCD_PASSWORD belong together: one of them is not set".to_owned());
        }
        problems
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`tls::Error`] for files that cannot be used, or a certificate that does not name this node's host.
    pub fn open(&self, registry: &Registry) -> Result<Encryption, tls::Error> {
        let (node, etcd) = (self.node_files()?, self.etcd_files()?);
        let [user, password] = self.etcd_user.map(str::to_owned);
        let user = (!user.is_empty()).then_some((user, password));
        if node.is_none() && etcd.is_none() {
            let etcd = EtcdAccess { tls: None, user };
            return Ok(Encryption { node: None, etcd });
        }
        let figures = Figures::new(registry);
        let node = node.map(|files| Tls::load(files, "node", &figures)).transpose()?;
        if let Some(node) = &node {
            node.identity().check_host(self.host)?;
        }
        let etcd = etcd.map(|files| Tls::load(files, "etcd", &figures)).transpose()?;
        let tls = etcd.or_else(|| node.clone());
        Ok(Encryption {
            node,
            etcd: EtcdAccess { tls, user },
        })
    }

    fn node_files(&self) -> Result<Option<Files>, tls::Error> {
        let [certificate, key, authorities] = self.node;
        Files::of_settings("TLS", certificate, key, authorities)
    }

    fn etcd_files(&self) -> Result<Option<Files>, tls::Error> {
        let [certificate, key, authorities] = self.etcd;
        Files::of_settings("ETCD", certificate, key, authorities)
    }

    fn shows_certificate(&self, prefix: &str) -> bool {
        let files = if prefix == "ETCD" { self.etcd } else { self.node };
        files.iter().all(|path| !path.is_empty())
    }
}

impl Encryption {
    /// For a private listener: only nodes of the cluster are let in, and others who show a certificate of its authority.
    #[must_use]
    pub fn for_nodes(&self) -> Option<Acceptor> {
        self.node.clone().map(|tls| Acceptor::new(tls, Clients::Certified))
    }

    /// For a public listener: everybody is let in, encrypted.
    #[must_use]
    pub fn for_everybody(&self) -> Option<Acceptor> {
        self.node.clone().map(|tls| Acceptor::new(tls, Clients::Anyone))
    }

    /// Follows the files as long as the node runs.
    pub fn follow(&self, tasks: &Tasks) {
        let etcd = self.etcd.tls.clone().filter(|etcd| {
            let node = self.node.as_ref().map(Tls::files);
            node != Some(etcd.files())
        });
        for (name, tls) in [("certificates", self.node.clone()), ("etcd-certificates", etcd)] {
            if let Some(tls) = tls {
                tasks.supervise(name, move |stop| tls.clone().follow(stop));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl Fn(&mut EncryptionSettings<'static>), endpoints: &'static [String]) -> Vec<String> {
        let mut settings = EncryptionSettings {
            etcd_endpoints: endpoints,
            ..EncryptionSettings::default()
        };
        change(&mut settings);
        settings.problems()
    }

    fn endpoints(text: &[&str]) -> &'static [String] {
        text.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>().leak()
    }

    #[test]
    fn settings_that_do_not_fit_together_are_told() {
        let (plain, encrypted) = (endpoints(&["http://a:1"]), endpoints(&["https://a:1"]));
        assert_eq!(problems(|_| {}, plain), Vec::<String>::new());
        assert_eq!(
            problems(|settings| settings.node = ["c", "k", "a"], encrypted),
            Vec::<String>::new()
        );
        assert_eq!(
            problems(|settings| settings.etcd = ["c", "k", "a"], encrypted),
            Vec::<String>::new()
        );
        for (found, said) in [
            (
                problems(|settings| settings.node = ["c", "", "a"], plain),
                "TLS_KEY is not set",
            ),
            (
                problems(|settings| settings.etcd = ["", "", "a"], plain),
                "ETCD_CERT is not set",
            ),
            (
                problems(|settings| settings.etcd = ["c", "k", "a"], plain),
                "http://a:1 in ETCD_ENDPOINTS is not encrypted",
            ),
            (
                problems(|_| {}, encrypted),
                "set ETCD_CERT, ETCD_KEY and ETCD_CA, or TLS_CERT",
            ),
            (
                problems(|settings| settings.node = ["c", "k", "a"], endpoints(&["https://a:1", "b:1"])),
                "b:1 in ETCD_ENDPOINTS",
            ),
            (
                problems(|settings| settings.etcd_user = ["root", ""], plain),
                "ETCD_USER and ETCD_PASSWORD belong together",
            ),
        ] {
            assert!(found.len() == 1 && found[0].contains(said), "{found:?} instead of {said:?}");
        }
    }
}
