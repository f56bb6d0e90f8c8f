//! A layout's ring, and who holds a range of it alone. Exact: every range between two points of the ring is looked at.

use api::BootId;
use api::member::{Layout, Phase, RingMember, RingRecord};
use hash_ring::Ring;

/// The ring of a layout, and its members in the order of the ring's.
pub(super) fn ring_of(layout: &Layout) -> (Ring, Vec<&RingMember>) {
    let mut members: Vec<&RingMember> = layout.members.iter().collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    members.dedup_by(|a, b| a.id == b.id);
    let placed = members.iter().map(|member| hash_ring::Member {
        id: member.id.as_str().to_owned(),
        weight: member.weight,
        zone: member.zone.clone(),
    });
    (Ring::new(placed, layout.virtual_nodes), members)
}

/// Copies of each entry a layout asks for.
pub(super) fn replicas_of(layout: &Layout) -> usize {
    layout.replicas.max(1) as usize
}

/// The layout that keys are read by.
pub(super) fn read_layout(record: &RingRecord) -> &Layout {
    match (record.phase, &record.previous) {
        (Phase::Moving, Some(previous)) => previous,
        _ => &record.layout,
    }
}

/// Whether some range has no holder: its keys are served by nobody until what backups have of them is put together.
pub(super) fn has_orphans(record: &RingRecord) -> bool {
    let layout = read_layout(record);
    layout.members.iter().any(|member| member.lost) && any_range(layout, |holders| holders.is_empty())
}

/// Whether some range has no other holder than this life.
pub(super) fn holds_alone(record: &RingRecord, boot_id: BootId) -> bool {
    any_range(
        read_layout(record),
        |holders| matches!(holders, [only] if only.boot_id == boot_id),
    )
}

/// Whether something is true of the holders of any range.
fn any_range(layout: &Layout, mut is: impl FnMut(&[&RingMember]) -> bool) -> bool {
    let (ring, members) = ring_of(layout);
    let mut holders = Vec::new();
    ring.positions().iter().any(|position| {
        let owners = ring.owners(*position, replicas_of(layout));
        holders.clear();
        holders.extend(
            owners
                .iter()
                .map(|owner| members[*owner as usize])
                .filter(|member| !member.lost),
        );
        is(&holders)
    })
}
