//! Placement by the ring of this node's view.

use std::collections::HashMap;
use std::sync::Arc;

use api::NodeId;
use api::member::Role;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use cluster::{Routing, View};

use super::front::{Owner, Placement};

/// The ring as the control store has it, with owners ready to be called.
#[derive(Debug)]
pub struct RingPlacement {
    view: Arc<View>,
    table: ArcSwap<Table>,
}

/// The owners of one ring, made when the ring was first used.
#[derive(Debug, Default)]
struct Table {
    routing: Arc<Routing>,
    owners: HashMap<NodeId, Arc<Owner>>,
}

impl RingPlacement {
    /// Follows a view.
    #[must_use]
    pub fn new(view: Arc<View>) -> Self {
        Self {
            view,
            table: ArcSwap::default(),
        }
    }

    fn table(&self) -> Arc<Table> {
        let snapshot = self.view.load();
        let table = self.table.load();
        if Arc::ptr_eq(&table.routing, snapshot.routing()) {
            return Arc::clone(&table);
        }
        let routing = Arc::clone(snapshot.routing());
        let known = snapshot.with_role(Role::Auxiliary);
        let owners = known.map(|node| {
            (
                node.id.clone(),
                Arc::new(Owner::new(node.id.as_str(), &node.address, node.boot_id, routing.epoch())),
            )
        });
        let table = Arc::new(Table {
            owners: owners.collect(),
            routing,
        });
        self.table.store(Arc::clone(&table));
        table
    }
}

#[async_trait]
impl Placement for RingPlacement {
    fn owner(&self, namespace: &str, key: &str) -> Option<Arc<Owner>> {
        let table = self.table();
        table.owners.get(&table.routing.owner(namespace, key)?.id).cloned()
    }

    fn is_current(&self, owner: &Owner) -> bool {
        self.table().owners.values().any(|current| **current == *owner)
    }

    async fn changed(&self) {
        let mut changes = self.view.subscribe();
        changes.mark_unchanged();
        // An ended view never changes again; the caller has a deadline of its own.
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
