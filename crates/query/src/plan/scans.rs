//! What is done to scans before they are cut into tasks.
//!
//! - The engine splits a file into ranges of as many bytes each, and a task reads the row groups that *begin* in its range: of four
//!   row groups one task may get three. Here ranges end where row groups do, where that makes the tasks most alike.
//! - A series of numbers whose values nobody asks for comes out of the engine's encoding with a column too many: such a plan is not cut.
//! - Figures of each file, which have served their purpose when the plan is made, do not travel with every task.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::not_impl_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::memory::LazyMemoryExec;

use crate::files::RowGroups;

/// The plan with its scans as tasks run them.
pub(super) fn for_tasks(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        if node.is::<LazyMemoryExec>() && node.schema().fields().is_empty() {
            return not_impl_err!("rows of a series without their values");
        }
        let scan = node.downcast_ref::<DataSourceExec>();
        let Some(config) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) else {
            return Ok(Transformed::no(node));
        };
        let groups = balanced(&config.file_groups).unwrap_or_else(|| config.file_groups.clone());
        let mut config = config.clone();
        config.file_groups = groups.into_iter().map(without_figures).collect();
        Ok(Transformed::yes(DataSourceExec::from_data_source(config)))
    });
    changed.data()
}

fn without_figures(group: FileGroup) -> FileGroup {
    let bare = |file: PartitionedFile| PartitionedFile {
        statistics: None,
        ..file
    };
    group.into_inner().into_iter().map(bare).collect()
}

/// A row group of one of the files.
#[derive(Debug, Clone, Copy)]
struct Unit {
    file: usize,
    start: i64,
    bytes: u64,
}

/// As many groups, with as equal shares of the row groups as there can be; none where no file is split, or nothing is known of one.
fn balanced(groups: &[FileGroup]) -> Option<Vec<FileGroup>> {
    let split = groups.iter().flat_map(FileGroup::iter).any(|file| file.range.is_some());
    if groups.len() < 2 || !split {
        return None;
    }
    let (mut files, mut seen) = (Vec::new(), HashMap::new());
    for file in groups.iter().flat_map(FileGroup::iter) {
        // Ranges of one file need not be next to one another: scans are arranged by what files say of their order.
        let (begin, end) = file.range();
        let covered = seen.entry(&file.object_meta.location).or_insert(0);
        // A file that is in the table twice, by links, stands there with other values of its directories.
        if *covered + (end - begin) > file.object_meta.size {
            return None;
        }
        if std::mem::replace(covered, *covered + (end - begin)) == 0 {
            files.push(PartitionedFile {
                range: None,
                ..file.clone()
            });
        }
    }
    let mut units = Vec::new();
    for (file, partitioned) in files.iter().enumerate() {
        let row_groups = partitioned.extension::<RowGroups>()?;
        units.extend(row_groups.iter().map(|(start, bytes)| Unit { file, start, bytes }));
    }
    let mut groups = Vec::with_capacity(groups.len());
    let mut rest = units.as_slice();
    for count in shares(&units, groups.capacity())? {
        let (share, after) = rest.split_at_checked(count)?;
        groups.push(ranges(share, after.first(), &files).collect());
        rest = after;
    }
    Some(groups)
}

/// The files of a share of the row groups, each from the first byte of its first one to that of the first one it leaves to others.
fn ranges<'a>(
    share: &'a [Unit],
    after: Option<&'a Unit>,
    files: &'a [PartitionedFile],
) -> impl Iterator<Item = PartitionedFile> + 'a {
    share.chunk_by(|a, b| a.file == b.file).filter_map(move |run| {
        let first = run.first()?;
        let file = files.get(first.file)?;
        let end = match after.filter(|next| next.file == first.file) {
            Some(next) => next.start,
            None => i64::try_from(file.object_meta.size).ok()?,
        };
        Some(file.clone().with_range(first.start, end))
    })
}

/// How many of the units each of `count` takes, in their order, so that their bytes are much alike and none has nothing; none when
/// there are too few units.
fn shares(units: &[Unit], count: usize) -> Option<Vec<usize>> {
    if units.len() < count {
        return None;
    }
    let all: u128 = units.iter().map(|unit| u128::from(unit.bytes)).sum();
    let (mut at, mut before) = (0, 0_u128);
    let mut taken = Vec::with_capacity(count);
    for share in 1..=count {
        let aim = all * share as u128 / count as u128;
        let (begin, last) = (at, units.len() - (count - share));
        // At least one; then as long as the end comes nearer to where it should be.
        while let Some(unit) = units.get(at).filter(|_| at < last) {
            let with = before + u128::from(unit.bytes);
            if share < count && at > begin && with.abs_diff(aim) > before.abs_diff(aim) {
                break;
            }
            before = with;
            at += 1;
        }
        taken.push(at - begin);
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(bytes: &[u64]) -> Vec<Unit> {
        let mut start = 4;
        let unit = |bytes: &u64| {
            let unit = Unit {
                file: 0,
                start,
                bytes: *bytes,
            };
            start += i64::try_from(*bytes).unwrap();
            unit
        };
        bytes.iter().map(unit).collect()
    }

    #[test]
    fn shares_are_as_alike_as_their_row_groups_allow() {
        let shared = |bytes: &[u64], count| shares(&units(bytes), count);
        assert_eq!(shared(&[10, 10, 10, 10], 2), Some(vec![2, 2]));
        assert_eq!(shared(&[30, 10, 10, 10], 2), Some(vec![1, 3]));
        assert_eq!(shared(&[10, 10, 10, 1000], 3), Some(vec![2, 1, 1]));
        assert_eq!(shared(&[5, 5], 3), None);
    }

    #[test]
    fn ranges_begin_and_end_where_row_groups_do() {
        let file = |range: Option<(i64, i64)>| {
            let file = PartitionedFile::new("a.parquet", 60).with_extension(RowGroups::from(vec![
                (4, 10),
                (14, 10),
                (24, 10),
                (34, 10),
            ]));
            match range {
                Some((start, end)) => file.with_range(start, end),
                None => file,
            }
        };
        let groups = [vec![file(Some((0, 30)))], vec![file(Some((30, 60)))]].map(FileGroup::new);
        let found: Vec<_> = balanced(&groups)
            .unwrap()
            .iter()
            .map(|group| group.files()[0].range.clone().unwrap())
            .collect();
        assert_eq!(
            found.iter().map(|range| (range.start, range.end)).collect::<Vec<_>>(),
            [(4, 24), (24, 60)]
        );
        let other = PartitionedFile::new("b.parquet", 60).with_extension(RowGroups::from(vec![(4, 40)]));
        let mixed = [vec![file(Some((30, 60))), other], vec![file(Some((0, 30)))]].map(FileGroup::new);
        let mixed = balanced(&mixed).unwrap();
        let begin = |file: &PartitionedFile| (file.object_meta.location.to_string(), file.range.clone().unwrap().start);
        let begins: Vec<_> = mixed.iter().flat_map(FileGroup::iter).map(begin).collect();
        assert_eq!(
            begins,
            [("a.parquet".to_owned(), 4), ("b.parquet".to_owned(), 4)],
            "a file in pieces is read once"
        );
        let twice = [vec![file(Some((0, 60)))], vec![file(Some((0, 60)))]].map(FileGroup::new);
        assert!(balanced(&twice).is_none(), "a file that is there twice stays so");
        let whole = [vec![file(None)], vec![file(None)]].map(FileGroup::new);
        assert!(balanced(&whole).is_none(), "files that nobody split stay as they are");
    }

    proptest! {
        #[test]
        fn all_units_are_shared_out_and_nobody_has_none(bytes in prop::collection::vec(0_u64..1000, 1..40), count in 1_usize..10) {
            let units = units(&bytes);
            match shares(&units, count) {
                None => prop_assert!(units.len() < count),
                Some(taken) => {
                    prop_assert_eq!(taken.len(), count);
                    prop_assert!(taken.iter().all(|count| *count > 0));
                    prop_assert_eq!(taken.iter().sum::<usize>(), units.len());
                }
            }
        }
    }
}
