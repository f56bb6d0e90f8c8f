//! The auxiliaries of the ring as one store.
//!
//! - A content goes to the first live owner, which answers when all owners of the *current* ring have it, durably; a file is sent
//!   again, to another node, when that fails, and so is a stream of which nothing was taken.
//! - A read asks the owners first and then everybody else: while the ring changes a blob may be left anywhere.
//! - What nodes do among themselves (copies, repair, scrub) is theirs: see the auxiliary.

mod list;
mod put;
mod read;

use std::ops::Range;
use std::sync::Arc;

use api::member::Role;
use async_trait::async_trait;
use cluster::View;
use futures::future::join_all;
use futures::stream::BoxStream;
use transport::peer::PeerClient;

use crate::holder::Holders;
use crate::name::check_name;
use crate::reading::{Broken, resuming};
use crate::{BlobInfo, BlobStore, ByteStream, Content, Error, NAMESPACE, Result};

/// Blobs on the auxiliaries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Replicated {
    holders: Holders,
    view: Arc<View>,
}

impl Replicated {
    /// Over the auxiliaries that a view knows.
    #[must_use]
    pub const fn new(client: PeerClient, view: Arc<View>) -> Self {
        Self {
            holders: Holders::new(client),
            view,
        }
    }

    /// Addresses of all auxiliaries that may have a blob: its owners first, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        let snapshot = self.view.load();
        let members = snapshot.routing().candidates(NAMESPACE, name);
        let mut addresses: Vec<String> = members.into_iter().map(|owner| owner.address.clone()).collect();
        for member in snapshot.with_role(Role::Auxiliary) {
            if !addresses.contains(&member.address) {
                addresses.push(member.address.clone());
            }
        }
        addresses
    }

    /// Addresses of all auxiliaries.
    fn everybody(&self) -> Vec<String> {
        let snapshot = self.view.load();
        snapshot
            .with_role(Role::Auxiliary)
            .map(|member| member.address.clone())
            .collect()
    }
}

#[async_trait]
impl BlobStore for Replicated {
    fn hosts(&self, name: &str) -> Vec<String> {
        let snapshot = self.view.load();
        let host = |address: &str| address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        let owners = snapshot.routing().candidates(NAMESPACE, name);
        owners.into_iter().map(|owner| host(&owner.address)).collect()
    }

    async fn put(&self, name: &str, content: Content) -> Result<BlobInfo> {
        check_name(name)?;
        match content {
            Content::File(path) => self.put_file(name, &path).await,
            Content::Stream(stream) => self.put_stream(name, stream).await,
        }
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<(BlobInfo, ByteStream)> {
        check_name(name)?;
        let mut broken = Broken::default();
        let (start, end) = range.map_or((0, None), |range| (range.start, Some(range.end)));
        if end.is_some_and(|end| end <= start) {
            // Nothing that a header could ask for.
            let info = self.stat(name).await?;
            return Ok((info, Box::pin(futures::stream::empty())));
        }
        let (info, content) = self.find(name, (start, end), None, &mut broken).await?;
        let end = end.unwrap_or(info.bytes).min(info.bytes);
        let content = resuming(Arc::new(self.clone()), info.clone(), (start, end), content, broken);
        Ok((info, content))
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        check_name(name)?;
        self.look_up(name).await
    }

    async fn delete(&self, name: &str) -> Result<bool> {
        check_name(name)?;
        let everybody = self.everybody();
        let deleted = join_all(everybody.iter().map(|address| self.holders.delete(address, name))).await;
        let failed = deleted.iter().find_map(|outcome| outcome.as_ref().err());
        match failed {
            Some(error) => Err(Error::Unavailable(format!("a copy of blob {name} may be left: {error}"))),
            None => Ok(deleted.into_iter().any(|outcome| outcome.is_ok_and(|had| had))),
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobInfo>> {
        list::merged(self.holders.clone(), self.everybody(), prefix.to_owned())
    }
}
