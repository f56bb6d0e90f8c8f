//! The cluster in figures, as every node sees it.

use api::member::{Phase, Role};
use prometheus::{IntGauge, IntGaugeVec, Registry};
use telemetry::Metrics;

use super::Snapshot;

#[derive(Debug)]
pub(super) struct Figures {
    members: IntGaugeVec,
    ring_epoch: IntGauge,
    ring_members: IntGauge,
    ring_replicas: IntGauge,
    ring_phase: IntGaugeVec,
    under_replicated: IntGauge,
}

impl Figures {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            members: metrics.int_gauges("cluster_members", "Registered nodes as this node sees them.", &["role"]),
            ring_epoch: metrics.int_gauge("cluster_ring_epoch", "Epoch of the ring this node routes and serves by."),
            ring_members: metrics.int_gauge("cluster_ring_members", "Auxiliaries in the ring."),
            ring_replicas: metrics.int_gauge(
                "cluster_ring_replicas",
                "Copies that each entry is to have, the primary's included.",
            ),
            ring_phase: metrics.int_gauges(
                "cluster_ring_phase",
                "1 for the phase the ring is in: stable, moving or settling.",
                &["phase"],
            ),
            under_replicated: metrics.int_gauge(
                "cluster_under_replicated",
                "1 while a node was lost and what it held has not all been copied yet.",
            ),
        }
    }

    pub(super) fn show(&self, snapshot: &Snapshot) {
        for role in [Role::Master, Role::Auxiliary, Role::Worker] {
            let count = snapshot.with_role(role).count();
            self.members
                .with_label_values(&[role.as_str()])
                .set(count.cast_signed() as i64);
        }
        let record = snapshot.routing().record();
        self.ring_epoch.set(record.epoch.0.cast_signed());
        self.ring_members.set(record.layout.members.len().cast_signed() as i64);
        self.ring_replicas.set(record.layout.replicas.into());
        let exists = record.epoch.0 > 0;
        for phase in [Phase::Stable, Phase::Moving, Phase::Settling] {
            let is = exists && phase == record.phase;
            self.ring_phase.with_label_values(&[phase.as_str()]).set(i64::from(is));
        }
        let mut before = record.previous.iter().flat_map(|layout| &layout.members);
        let lost = record.phase == Phase::Moving && before.any(|member| member.lost);
        let lost = lost || record.layout.members.iter().any(|member| member.lost);
        self.under_replicated.set(i64::from(lost));
    }
}
