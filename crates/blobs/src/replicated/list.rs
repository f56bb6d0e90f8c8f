//! Listing all auxiliaries as one: pages of each, merged by name, every name once.

use std::collections::VecDeque;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};

use crate::holder::{Holders, Named};
use crate::{BlobInfo, Error, Result};

/// What was read of one auxiliary and not given out.
struct Part {
    address: String,
    items: VecDeque<Named>,
    /// Where its next page begins; none after the last one.
    after: Option<Option<String>>,
}

struct Listing {
    holders: Holders,
    prefix: String,
    parts: Vec<Part>,
}

/// Blobs that begin with `prefix` at any of these addresses. An auxiliary that does not answer ends it with an error: a listing
/// that lacks something must not look like a whole one.
pub(super) fn merged(holders: Holders, addresses: Vec<String>, prefix: String) -> BoxStream<'static, Result<BlobInfo>> {
    let parts = addresses.into_iter().map(|address| Part {
        address,
        items: VecDeque::new(),
        after: Some(None),
    });
    let listing = Listing {
        holders,
        prefix,
        parts: parts.collect(),
    };
    stream::try_unfold(listing, |mut listing| async move {
        let next = listing.next().await?;
        Ok(next.map(|info| (info, listing)))
    })
    .boxed()
}

impl Listing {
    async fn next(&mut self) -> Result<Option<BlobInfo>> {
        for part in &mut self.parts {
            while part.items.is_empty() {
                let Some(after) = part.after.take() else { break };
                let page = self.holders.page(&part.address, &self.prefix, after.as_deref()).await;
                let page = page.map_err(|error| Error::Unavailable(format!("the blobs cannot be listed: {error}")))?;
                part.items = page.items.into();
                part.after = page.next.map(Some);
            }
        }
        let first = self
            .parts
            .iter()
            .filter_map(|part| part.items.front())
            .min_by(|a, b| a.name.cmp(&b.name));
        let Some(first) = first.cloned() else {
            return Ok(None);
        };
        for part in &mut self.parts {
            part.items.pop_front_if(|item| item.name == first.name);
        }
        Ok(Some(BlobInfo {
            name: first.name,
            bytes: first.bytes,
            crc32c: None,
        }))
    }
}
