//! Large parts of results: blobs on the auxiliaries.

use api::JobId;
use api::member::Role;
use bytes::Bytes;
use futures::Stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use transport::peer::{Method, PeerError};

use super::{Error, Jobs};

/// Namespace under which the ring places blobs.
const NAMESPACE: &str = "_blobs";
/// Segments of a name stay segments of the path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-');

impl Jobs {
    /// Opens a blob: at its owner, or wherever else it is.
    pub(super) async fn open_blob(
        &self,
        job: JobId,
        part: usize,
        name: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, PeerError>> + Send + 'static, Error> {
        let mut tried = Vec::new();
        for address in self.holders(name) {
            match self.inner.peers.get(&address, &path(name)).send().await {
                Ok(response) => return Ok(response.stream()),
                Err(error) => tried.push(error.to_string()),
            }
        }
        let detail = if tried.is_empty() {
            "no auxiliary is registered".to_owned()
        } else {
            tried.join("; ")
        };
        Err(Error::ResultLost { job, part, detail })
    }

    /// Removes a blob from whoever may hold it. What cannot be reached keeps it.
    pub(super) async fn remove_blob(&self, name: &str) {
        for address in self.holders(name) {
            if let Err(error) = self.inner.peers.request(Method::DELETE, &address, &path(name)).send().await {
                tracing::debug!(%name, %error, "a blob was not removed");
            }
        }
    }

    /// Hosts of the auxiliaries that should have a blob.
    pub(super) fn hosts_of(&self, name: &str) -> Vec<String> {
        let snapshot = self.inner.view.load();
        let owner = snapshot.routing().owner(NAMESPACE, name);
        let host = |address: &str| address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        owner.map(|owner| host(&owner.address)).into_iter().collect()
    }

    /// Addresses of all auxiliaries, the blob's owner first.
    fn holders(&self, name: &str) -> Vec<String> {
        let snapshot = self.inner.view.load();
        let owner = snapshot.routing().owner(NAMESPACE, name).map(|owner| owner.address.clone());
        let others = snapshot.with_role(Role::Auxiliary).map(|member| member.address.clone());
        let others: Vec<String> = others.filter(|address| Some(address) != owner.as_ref()).collect();
        owner.into_iter().chain(others).collect()
    }
}

fn path(name: &str) -> String {
    format!("/internal/v1/blobs/{}", utf8_percent_encode(name, KEPT))
}
