//! The ring: an immutable table of points, built once per change of members and read without a lock.

use crate::hash::hash_point;
use crate::owners::{MAX_OWNERS, Owners};

/// Most points one member gets, whatever its weight: a mistyped weight must not take the memory of every node.
const MAX_POINTS_PER_MEMBER: u32 = 1 << 16;

/// A node that may own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Stable name; what is hashed.
    pub id: String,
    /// Share relative to the others; 0 owns nothing.
    pub weight: u32,
    /// Failure domain. Members without one count as a domain of their own.
    pub zone: Option<String>,
}

/// Who owns what. Immutable; build a new one when members change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Positions, ascending; apart from `point_members` so that the binary search touches nothing else.
    points: Vec<u64>,
    /// Index into `members` of each point.
    point_members: Vec<u32>,
    /// Sorted by id.
    members: Vec<Member>,
    /// Failure domain of each member, numbered from 0.
    zones: Vec<u32>,
    /// Members that have points.
    owning: usize,
    /// Failure domains that have points.
    owning_zones: usize,
}

impl Ring {
    /// Places `members` with `virtual_nodes` points per unit of weight. A repeated id counts once.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = Member>, virtual_nodes: u32) -> Self {
        let mut members: Vec<Member> = members.into_iter().collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members.dedup_by(|a, b| a.id == b.id);

        let mut placed: Vec<(u64, u32)> = Vec::new();
        for (index, member) in (0u32..).zip(&members) {
            let count = virtual_nodes.saturating_mul(member.weight).min(MAX_POINTS_PER_MEMBER);
            placed.extend((0..count).map(|number| (hash_point(&member.id, number), index)));
        }
        // Two points at one position: the order of the ids decides, on every node alike.
        placed.sort_unstable();

        let zones = number_zones(&members);
        let owns = |index: &usize| virtual_nodes > 0 && members[*index].weight > 0;
        let owning = (0..members.len()).filter(owns).count();
        let mut owning_zones: Vec<u32> = (0..members.len()).filter(owns).map(|index| zones[index]).collect();
        owning_zones.sort_unstable();
        owning_zones.dedup();

        Self {
            points: placed.iter().map(|(position, _)| *position).collect(),
            point_members: placed.iter().map(|(_, member)| *member).collect(),
            owning_zones: owning_zones.len(),
            members,
            zones,
            owning,
        }
    }

    /// The members, sorted by id; owners are indices into it.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member an owner index stands for.
    ///
    /// # Panics
    /// When the index is not one this ring gave out.
    #[must_use]
    pub fn member(&self, index: u32) -> &Member {
        &self.members[index as usize]
    }

    /// Whether nobody owns anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The primary owner of a position: the hot path, one binary search and no allocation.
    #[must_use]
    pub fn owner(&self, hash: u64) -> Option<u32> {
        if self.points.is_empty() {
            None
        } else {
            Some(self.point_members[self.first_point(hash)])
        }
    }

    /// The first `replicas` distinct members clockwise (at most [`MAX_OWNERS`]), the primary first; each in a failure
    /// domain of its own while there are enough domains. Fewer when there are fewer members.
    #[must_use]
    pub fn owners(&self, hash: u64, replicas: usize) -> Owners {
        let wanted = replicas.min(self.owning).min(MAX_OWNERS);
        let mut owners = Owners::default();
        if wanted == 0 {
            return owners;
        }
        let apart = wanted.min(self.owning_zones);
        for member in self.clockwise(hash) {
            if !owners
                .iter()
                .any(|taken| self.zones[*taken as usize] == self.zones[member as usize])
            {
                owners.push(member);
                if owners.len() == apart {
                    break;
                }
            }
        }
        if owners.len() < wanted {
            for member in self.clockwise(hash) {
                if !owners.contains(&member) {
                    owners.push(member);
                    if owners.len() == wanted {
                        break;
                    }
                }
            }
        }
        owners
    }

    /// Where the owners of positions change, ascending: all positions from behind one up to and including the next have the
    /// same owners, those of the latter. Behind the last one it goes on with the first.
    #[must_use]
    pub fn positions(&self) -> &[u64] {
        &self.points
    }

    /// The part of all positions each member is the primary of, in the order of [`Ring::members`]; sums to 1.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let mut covered = vec![0u128; self.members.len()];
        let mut previous = self.points.last().copied();
        for (position, member) in self.points.iter().zip(&self.point_members) {
            let width = previous.map_or(0, |p| u128::from(position.wrapping_sub(p)));
            covered[*member as usize] += width;
            previous = Some(*position);
        }
        if let [_] = self.points[..] {
            covered[self.point_members[0] as usize] = 1 << 64;
        }
        #[allow(clippy::cast_precision_loss, reason = "shares are shown to people, 53 bits are plenty")]
        covered.into_iter().map(|width| width as f64 / 2f64.powi(64)).collect()
    }

    /// Index of the first point at or after a position, around the end.
    fn first_point(&self, hash: u64) -> usize {
        let index = self.points.partition_point(|position| *position < hash);
        if index == self.points.len() { 0 } else { index }
    }

    /// Members of all points, clockwise from a position.
    fn clockwise(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let (before, after) = self.point_members.split_at(self.first_point(hash));
        after.iter().chain(before).copied()
    }
}

/// Numbers the failure domains; a member without one gets a number nobody shares.
fn number_zones(members: &[Member]) -> Vec<u32> {
    (0u32..)
        .zip(members)
        .map(|(index, member)| {
            let first = member
                .zone
                .as_ref()
                .and_then(|zone| members.iter().position(|other| other.zone.as_ref() == Some(zone)));
            first.and_then(|first| u32::try_from(first).ok()).unwrap_or(index)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash_key;

    fn member(id: &str) -> Member {
        Member {
            id: id.to_owned(),
            weight: 1,
            zone: None,
        }
    }

    #[test]
    fn an_empty_ring_has_no_owner() {
        let ring = Ring::new([], 256);
        assert!(ring.is_empty());
        assert_eq!(ring.owner(7), None);
        assert!(ring.owners(7, 2).is_empty());
        assert!(ring.shares().is_empty());
    }

    #[test]
    fn a_single_point_owns_everything() {
        let ring = Ring::new([member("a")], 1);
        assert_eq!(ring.owner(0), Some(0));
        assert_eq!(ring.owner(u64::MAX), Some(0));
        assert_eq!(ring.shares(), vec![1.0]);
    }

    #[test]
    fn a_member_of_weight_zero_owns_nothing() {
        let ring = Ring::new(
            [
                member("a"),
                Member {
                    weight: 0,
                    ..member("b")
                },
            ],
            64,
        );
        assert_eq!(ring.owners(42, 2).to_vec(), vec![0]);
        assert_eq!(ring.shares(), vec![1.0, 0.0]);
    }

    #[test]
    fn the_primary_is_the_first_owner() {
        let ring = Ring::new(["a", "b", "c"].map(member), 256);
        for n in 0..1000u32 {
            let hash = hash_key("", &n.to_string());
            assert_eq!(ring.owner(hash), ring.owners(hash, 2).first().copied());
        }
    }

    #[test]
    fn owners_change_at_positions_and_nowhere_else() {
        let ring = Ring::new(["a", "b", "c"].map(member), 16);
        let positions = ring.positions();
        for pair in positions.windows(2) {
            let at = ring.owners(pair[1], 2);
            for hash in [pair[0] + 1, pair[0] / 2 + pair[1] / 2 + 1] {
                assert_eq!(ring.owners(hash, 2), at, "between {} and {}", pair[0], pair[1]);
            }
        }
        let (first, last) = (positions[0], positions[positions.len() - 1]);
        assert_eq!(ring.owners(last + 1, 2), ring.owners(first, 2), "around the end");
    }

    #[test]
    fn a_huge_weight_does_not_take_all_memory() {
        let ring = Ring::new(
            [Member {
                weight: u32::MAX,
                ..member("a")
            }],
            256,
        );
        assert_eq!(ring.points.len(), MAX_POINTS_PER_MEMBER as usize);
    }

    #[test]
    fn owners_of_known_keys_are_frozen() {
        let ring = Ring::new(["auxiliary-1", "auxiliary-2", "auxiliary-3"].map(member), 256);
        for (key, expected) in [
            ("a", [2, 0]),
            ("b", [2, 0]),
            ("c", [0, 2]),
            ("user:1", [2, 0]),
            ("user:2", [2, 1]),
            ("user:3", [2, 1]),
            ("user:4", [1, 0]),
            ("user:5", [2, 1]),
        ] {
            assert_eq!(ring.owners(hash_key("", key), 2).to_vec(), expected, "{key}");
        }
    }
}
