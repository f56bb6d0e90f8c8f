//! A table of files that are known one by one.
//!
//! The engine's own listing table lists its directory again whenever it is scanned, may then find other files than those that
//! were looked at, and cannot say which columns a file's *name in a dataset* stands for when its blob is called something else.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::ObjectStore;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::row_groups::RowGroups;

/// A file, and what is known of it.
#[derive(Debug)]
pub(super) struct TableFile {
    pub(super) file: PartitionedFile,
    /// Its own columns, where they were looked at.
    pub(super) schema: Option<SchemaRef>,
    pub(super) figures: OnceCell<Figures>,
}

/// What a file's own metadata says of its rows.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    statistics: Arc<Statistics>,
    row_groups: Option<RowGroups>,
}

/// A table of files of one format.
#[derive(Debug)]
pub(super) struct FileTable {
    /// Where the files are read from while the query is planned.
    pub(super) store: ObjectStoreUrl,
    /// The same, as the plan is to say it.
    pub(super) scanned_from: ObjectStoreUrl,
    pub(super) format: Arc<dyn FileFormat>,
    pub(super) is_parquet: bool,
    /// Rows to read at a time, where the engine's own number of them would be too much.
    pub(super) batch_rows: Option<usize>,
    pub(super) columns: TableSchema,
    pub(super) files: Vec<TableFile>,
}

impl FileTable {
    fn partition_columns(&self) -> &[FieldRef] {
        self.columns.table_partition_cols()
    }

    fn is_of_partitions(&self, filter: &Expr) -> bool {
        let names: Vec<&str> = self.partition_columns().iter().map(|column| column.name().as_str()).collect();
        !names.is_empty() && expr_applicable_for_cols(&names, filter)
    }

    /// Files whose partition can have rows for the filters.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&TableFile>> {
        let Some(filter) = conjunction(filters.iter().filter(|filter| self.is_of_partitions(filter)).cloned()) else {
            return Ok(self.files.iter().collect());
        };
        let schema = Arc::new(Schema::new(self.partition_columns().to_vec()));
        let condition = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&schema))?)?;
        let mut kept = Vec::new();
        for file in &self.files {
            let values = file.file.partition_values.iter().map(|value| value.to_array());
            let row = RecordBatch::try_new(Arc::clone(&schema), values.collect::<Result<_>>()?)?;
            let answer = condition.evaluate(&row)?.into_array(1)?;
            if answer.as_boolean().is_valid(0) && answer.as_boolean().value(0) {
                kept.push(file);
            }
        }
        Ok(kept)
    }

    async fn figures_of(&self, state: &dyn Session, store: &Arc<dyn ObjectStore>, file: &TableFile) -> Result<Figures> {
        let infer = || async {
            let schema = Arc::clone(self.columns.file_schema());
            let meta = &file.file.object_meta;
            let (mut known, row_groups) = if self.is_parquet {
                let metadata = DFParquetMetadata::new(store.as_ref(), meta).fetch_metadata().await?;
                let known = DFParquetMetadata::statistics_from_parquet_metadata(&metadata, &schema)?;
                (known, Some(RowGroups::of(&metadata)))
            } else {
                (self.format.infer_stats(state, store, Arc::clone(&schema), meta).await?, None)
            };
            // Figures of a column that is converted when it is read are figures of something else.
            for (column, field) in known.column_statistics.iter_mut().zip(schema.fields()) {
                let own = file.schema.as_ref().and_then(|own| own.field_with_name(field.name()).ok());
                if own.is_none_or(|own| own.data_type() != field.data_type()) {
                    *column = ColumnStatistics::new_unknown();
                }
            }
            // The engine takes values of partitions for never null, which ours may be.
            for value in &file.file.partition_values {
                known.column_statistics.push(match value.is_null() {
                    true => ColumnStatistics {
                        null_count: known.num_rows,
                        ..ColumnStatistics::new_unknown()
                    },
                    false => ColumnStatistics {
                        null_count: Precision::Exact(0),
                        min_value: Precision::Exact(value.clone()),
                        max_value: Precision::Exact(value.clone()),
                        ..ColumnStatistics::new_unknown()
                    },
                });
            }
            Ok(Figures {
                statistics: Arc::new(known),
                row_groups,
            })
        };
        file.figures.get_or_try_init(infer).await.cloned()
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushdown = |filter: &&Expr| {
            if self.is_of_partitions(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(pushdown).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = self.pruned(state, filters)?;
        if kept.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let store = state.runtime_env().object_store(&self.store)?;
        let together = state.config_options().execution.meta_fetch_concurrency.get();
        let collects = state.config_options().execution.collect_statistics;
        let mut looks = Vec::with_capacity(kept.len());
        for file in kept {
            let store = Arc::clone(&store);
            let look = async move {
                let mut partitioned = file.file.clone();
                if collects {
                    let Figures { statistics, row_groups } = self.figures_of(state, &store, file).await?;
                    partitioned.statistics = Some(statistics);
                    if let Some(row_groups) = row_groups {
                        partitioned = partitioned.with_extension(row_groups);
                    }
                }
                Ok::<_, DataFusionError>(partitioned)
            };
            looks.push(look.boxed());
        }
        // In order: the same query over the same files is the same plan.
        let files: Vec<PartitionedFile> = stream::iter(looks).buffered(together).try_collect().await?;
        let statistics = match collects {
            true => Statistics::try_merge_iter(files.iter().filter_map(|file| file.statistics.as_deref()), &self.schema())?,
            false => Statistics::new_unknown(&self.schema()),
        };
        let groups = FileGroup::new(files).split_files(state.config_options().execution.target_partitions);
        let source = self.format.file_source(self.columns.clone());
        let scan = FileScanConfigBuilder::new(self.scanned_from.clone(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_batch_size(self.batch_rows)
            .build();
        self.format.create_physical_plan(state, scan).await
    }
}
