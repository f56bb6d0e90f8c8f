//! A damaged copy, written anew from another holder.

use api::member::Role;
use futures::TryStreamExt;
use store::blob::{BlobInfo, BlobName, Error};

use super::Blobs;

impl Blobs {
    /// Looks for a good copy elsewhere and takes it.
    pub(crate) async fn heal(&self, name: &BlobName) {
        // It may have been healed, or removed, meanwhile.
        match self.store.verify(name).await {
            Ok(_) | Err(Error::NotFound(_)) => return,
            Err(_) => {}
        }
        let known = self.store.stat(name).await.ok();
        let snapshot = self.view.load_full();
        for member in snapshot.with_role(Role::Auxiliary).filter(|member| member.id != self.me.id) {
            match self.take(name, known.as_ref(), &member.address).await {
                Ok(()) => {
                    self.metrics.repairs.with_label_values(&["healed"]).inc();
                    return tracing::warn!(blob = %name, from = %member.id, "a damaged blob was healed");
                }
                Err(reason) => tracing::debug!(blob = %name, from = %member.id, reason, "no good copy there"),
            }
        }
        self.metrics.repairs.with_label_values(&["unhealed"]).inc();
        tracing::error!(blob = %name, "a blob is damaged, and no other node that answers has a good copy; looking again with the next scrub");
    }

    async fn take(&self, name: &BlobName, known: Option<&BlobInfo>, address: &str) -> Result<(), String> {
        let opened = self.holders.open(address, name.as_str(), (0, None)).await;
        let opened = opened.map_err(|error| error.to_string())?;
        let info = BlobInfo {
            name: name.clone(),
            bytes: opened.held.bytes,
            crc32c: opened.held.crc32c,
        };
        if known.is_some_and(|known| *known != info) {
            return Err("it holds something else".to_owned());
        }
        let content = opened.content.map_err(std::io::Error::other);
        self.store.heal(&info, content).await.map_err(|error| error.to_string())
    }
}
