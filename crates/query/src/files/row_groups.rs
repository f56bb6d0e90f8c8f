//! Where the row groups of a Parquet file begin, and how large they are: what a file can be split into.

use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;

/// First byte and size of each row group, by first byte, which need not be the order of the footer.
#[derive(Debug, Clone)]
pub(crate) struct RowGroups(Arc<[(i64, u64)]>);

impl RowGroups {
    pub(super) fn of(metadata: &ParquetMetaData) -> Self {
        let groups = metadata.row_groups().iter().filter_map(|group| {
            let first = group.columns().first()?;
            // The byte by which readers decide in whose range a row group is.
            let start = first.dictionary_page_offset().unwrap_or_else(|| first.data_page_offset());
            Some((start, u64::try_from(group.compressed_size()).unwrap_or_default()))
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable();
        Self(groups.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
impl From<Vec<(i64, u64)>> for RowGroups {
    fn from(groups: Vec<(i64, u64)>) -> Self {
        Self(groups.into())
    }
}
