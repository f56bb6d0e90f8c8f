//! What a listener serves, which may change while it runs: a node answers other nodes before it can answer anything else.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

/// The routes of a listener; clones are the same routes.
#[derive(Debug, Clone)]
pub struct Routes {
    current: Arc<ArcSwap<Router>>,
}

impl Routes {
    /// Begins with these.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(router)),
        }
    }

    /// Goes on with others: for all requests that come from now on, on old connections too.
    pub fn replace(&self, router: Router) {
        self.current.store(Arc::new(router));
    }

    pub(super) fn current(&self) -> Router {
        Router::clone(&self.current.load())
    }
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self::new(router)
    }
}
