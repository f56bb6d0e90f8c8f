//! From the scheme and host of a file to the store that has it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::object_store::ObjectStore;
use url::Url;

use super::{ConfinedFiles, Remote};
use crate::Error;
use crate::files::DataDirs;

/// All stores of an engine.
pub(crate) struct Stores {
    /// By `scheme://host`: the data directories, what the engine was given, and what was allowed so far.
    known: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    remote: Arc<Remote>,
}

impl Stores {
    pub(crate) fn new(dirs: DataDirs, blobs: Option<Arc<dyn ObjectStore>>, remote: Arc<Remote>) -> Self {
        let files: Arc<dyn ObjectStore> = Arc::new(ConfinedFiles::new(dirs));
        let mut known = HashMap::from([("file://".to_owned(), files)]);
        known.extend(blobs.map(|blobs| ("blob://".to_owned(), blobs)));
        Self {
            known: Mutex::new(known),
            remote,
        }
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("remote", &self.remote).finish_non_exhaustive()
    }
}

fn key(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        // Stores come from the operator, never from a query.
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let key = key(url);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = known.get(&key) {
            return Ok(Arc::clone(store));
        }
        let store = self
            .remote
            .open(url)
            .map_err(|refused: Error| DataFusionError::External(Box::new(refused)))?;
        known.insert(key, Arc::clone(&store));
        Ok(store)
    }
}
