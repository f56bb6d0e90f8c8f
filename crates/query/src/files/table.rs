//! Registration of a job's tables in a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::job::{Compression, TableFormat, TableOptions};
use api::task::PlanTable;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::table_schema::TableSchemaBuilder;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::ObjectStore;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::choose::{self, Chosen, choose};
use super::hive::{self, Partitions};
use super::objects::{self, Entry, Kind};
use super::provider::{FileTable, TableFile};
use super::reading::{carrying, engine_type};
use super::schema::{self, FileSchema};
use super::text::{self, FURTHER_ROWS, INFERENCE_ROWS, Text};
use super::uri::Place;
use super::{Sources, footer, kv, multiline, types, walk};
use crate::Error;
use crate::bounded::is_boundless;
use crate::session::{BATCH_ROWS, MIN_SPLIT_BYTES};

/// Files looked at side by side.
const LOOKS: usize = 8;

/// Registers every table under its own name, and under that name in lower case (which is what SQL makes of unquoted names).
/// `kv:` tables are of the namespace's keys.
pub(crate) async fn register(
    ctx: &SessionContext,
    namespace: &str,
    tables: &BTreeMap<String, PlanTable>,
    sources: &Sources,
) -> Result<(), Error> {
    for (name, table) in tables {
        if name.is_empty() || name.len() > 256 {
            return Err(Error::Invalid("a table's name must have 1 to 256 bytes".to_owned()));
        }
        let opened = open(ctx, namespace, table, sources).await;
        let table = opened.map_err(|error| in_table(name, error))?;
        let lower = name.to_lowercase();
        let names = if tables.contains_key(&lower) {
            vec![name.clone()]
        } else {
            vec![name.clone(), lower]
        };
        for name in names {
            ctx.register_table(TableReference::bare(name), Arc::clone(&table))
                .map_err(|error| Error::from_engine(&error))?;
        }
    }
    Ok(())
}

async fn open(
    ctx: &SessionContext,
    namespace: &str,
    table: &PlanTable,
    sources: &Sources,
) -> Result<Arc<dyn TableProvider>, Error> {
    let spec = &table.spec;
    let place = Place::of(spec)?;
    if let Place::Kv(prefix) = &place {
        if spec.format.is_some() || spec.options != TableOptions::default() {
            return Err(Error::Invalid("kv: tables have no `format` and no `options`".to_owned()));
        }
        return Ok(Arc::new(kv::table(sources.kv.as_ref(), namespace, prefix).await?));
    }
    let (url, kind, entries) = find(ctx, &place, table, sources).await?;
    let shown = spec.uri.clone().or_else(|| spec.dataset.clone()).unwrap_or_default();
    let chosen = choose(kind, entries, spec.format, &spec.options, &shown)?;
    let looked = Look {
        ctx,
        url,
        options: &spec.options,
        remote: matches!(place, Place::Http(_) | Place::S3 { .. }),
        chosen,
    };
    Ok(Arc::new(looked.table(&shown).await?))
}

/// The files of a table and the store they are in.
async fn find(
    ctx: &SessionContext,
    place: &Place,
    table: &PlanTable,
    sources: &Sources,
) -> Result<(ObjectStoreUrl, Kind, Vec<Entry>), Error> {
    let internal = |error: datafusion::error::DataFusionError| Error::from_engine(&error);
    let remote = |text: String| -> Result<(ObjectStoreUrl, Arc<dyn ObjectStore>), Error> {
        let url = ObjectStoreUrl::parse(text).map_err(internal)?;
        let store = ctx.runtime_env().object_store(&url).map_err(internal)?;
        Ok((url, store))
    };
    match place {
        Place::File(path) => {
            let (path, dirs) = (path.clone(), sources.dirs.clone());
            let found = tokio::task::spawn_blocking(move || walk::find(&path, &dirs)).await;
            let (kind, entries) = found.map_err(|error| Error::Internal(error.to_string()))??;
            Ok((ObjectStoreUrl::local_filesystem(), kind, entries))
        }
        Place::Dataset(name) => Ok((objects::blob_url()?, Kind::Pattern, objects::of_dataset(name, &table.files)?)),
        Place::Http(address) => {
            sources.remote.check(address)?;
            let (url, store) = remote(address[..url::Position::BeforePath].to_owned())?;
            Ok((url, Kind::One, objects::behind_http(store.as_ref(), address).await?))
        }
        Place::S3 { bucket, key } => {
            let (url, store) = remote(format!("s3://{bucket}"))?;
            let (kind, entries) = objects::in_bucket(store.as_ref(), bucket, key).await?;
            Ok((url, kind, entries))
        }
        Place::Kv(_) => Err(Error::Internal("keys are no files".to_owned())),
    }
}

/// A table whose files are found and are now looked at.
struct Look<'a> {
    ctx: &'a SessionContext,
    url: ObjectStoreUrl,
    options: &'a TableOptions,
    /// Whether reading a whole file to learn about it would be dear.
    remote: bool,
    chosen: Chosen,
}

impl Look<'_> {
    async fn table(mut self, shown: &str) -> Result<FileTable, Error> {
        let internal = |error: datafusion::error::DataFusionError| Error::from_engine(&error);
        self.options_fit()?;
        let declared = types::declared(self.ctx, &self.options.schema).await?;
        self.chosen.entries.retain(|entry| entry.meta.size > 0);
        if self.chosen.entries.is_empty() && declared.is_empty() {
            return Err(Error::Invalid(format!(
                "{shown}: its files are empty, so its columns are unknown"
            )));
        }
        let partitions = hive::partitions(&self.chosen.entries, &declared)?;
        let in_directories = |field: &Field| partitions.columns.iter().any(|column| column.name() == field.name());
        let declared: Vec<Field> = declared.into_iter().filter(|field| !in_directories(field)).collect();

        let store = self.ctx.runtime_env().object_store(&self.url).map_err(internal)?;
        let csv_delimiter = self.delimiter()?;
        let (schemas, batch_rows) = self.schemas(&store, csv_delimiter).await?;
        let columns = self.columns(&declared, &schemas, &partitions)?;
        if let Some(column) = columns.fields().iter().find(|column| is_boundless(column.data_type())) {
            return Err(Error::TooLarge(format!(
                "the column {:?} of {shown} is of type {}: a batch of such values, even of nulls, has no bound",
                column.name(),
                column.data_type()
            )));
        }
        let split = self.chosen.format != TableFormat::Csv || !self.may_break_lines(store.as_ref(), csv_delimiter).await?;
        Ok(FileTable {
            scanned_from: carrying(&self.url, self.chosen.compression).map_err(internal)?,
            store: self.url.clone(),
            format: self.reader(csv_delimiter, split),
            is_parquet: self.chosen.format == TableFormat::Parquet,
            columns: TableSchemaBuilder::from(&Arc::new(columns))
                .with_table_partition_cols(partitions.columns.clone())
                .build(),
            batch_rows: (batch_rows < BATCH_ROWS).then_some(batch_rows),
            files: self.files(schemas, partitions),
        })
    }

    fn options_fit(&self) -> Result<(), Error> {
        let format = self.chosen.format;
        let TableOptions { header, delimiter, .. } = self.options;
        if format != TableFormat::Csv && (header.is_some() || delimiter.is_some()) {
            return Err(Error::Invalid("`header` and `delimiter` are options of CSV only".to_owned()));
        }
        Ok(())
    }

    /// The columns of each file, as far as they can be told, and how many rows may be read at a time.
    async fn schemas(&self, store: &Arc<dyn ObjectStore>, delimiter: u8) -> Result<(Vec<FileSchema>, usize), Error> {
        let state = self.ctx.state();
        let pool = Arc::clone(&self.ctx.runtime_env().memory_pool);
        let parquet = ParquetFormat::default().with_force_view_types(false);
        let text = match self.chosen.format {
            TableFormat::Csv => Text::Csv {
                header: self.has_header(),
                delimiter,
            },
            _ => Text::Ndjson,
        };
        let look = |(index, entry): (usize, &Entry)| {
            let (state, parquet, text, pool, entry) = (&state, &parquet, &text, &pool, entry.clone());
            async move {
                let named = |error: Error| error.context(&entry.shown);
                let (columns, batch_rows) = if self.chosen.format == TableFormat::Parquet {
                    footer::check(store.as_ref(), &entry.meta, &entry.shown).await?;
                    let inferred = parquet
                        .infer_schema(state as &dyn Session, store, std::slice::from_ref(&entry.meta))
                        .await;
                    (inferred.map_err(|error| named(Error::from_engine(&error)))?, BATCH_ROWS)
                } else {
                    let rows = if index == 0 { INFERENCE_ROWS } else { FURTHER_ROWS };
                    let told = text::infer(store.as_ref(), &entry.meta, text, self.chosen.compression, rows, pool).await;
                    let told = told.map_err(named)?;
                    (Arc::new(told.columns), told.batch_rows)
                };
                Ok::<_, Error>(((entry.shown, columns), batch_rows))
            }
        };
        let looks: Vec<_> = self.chosen.entries.iter().enumerate().map(look).collect();
        let told: Vec<(FileSchema, usize)> = stream::iter(looks).buffered(LOOKS).try_collect().await?;
        let batch_rows = told.iter().map(|(_, rows)| *rows).min().unwrap_or(BATCH_ROWS);
        Ok((told.into_iter().map(|(schema, _)| schema).collect(), batch_rows))
    }

    /// The columns that the files have together, or that are declared.
    fn columns(&self, declared: &[Field], schemas: &[FileSchema], partitions: &Partitions) -> Result<Schema, Error> {
        let csv = self.chosen.format == TableFormat::Csv;
        let found = match (csv, declared.is_empty()) {
            (true, true) => schema::by_position(schemas)?,
            (false, true) => schema::by_name(schemas)?,
            (true, false) => schema::declared_by_position(declared, schemas, self.has_header())?,
            (false, false) => schema::declared_by_name(declared, schemas)?,
        };
        let twice = |field: &Field| partitions.columns.iter().any(|column| column.name() == field.name());
        if csv && let Some(field) = found.fields().iter().find(|field| twice(field)) {
            return Err(Error::Invalid(format!(
                "the column {:?} is in the files and in the names of their directories: rename one of them",
                field.name()
            )));
        }
        // Where columns have names, that of the directory stands for the one in the files.
        let kept: Vec<_> = found.fields().iter().filter(|field| !twice(field)).cloned().collect();
        Ok(Schema::new(kept))
    }

    /// Whether a file of CSV must be read in one piece. Compressed files are anyhow, and what is far away is not read through.
    async fn may_break_lines(&self, store: &dyn ObjectStore, delimiter: u8) -> Result<bool, Error> {
        if self.remote || self.chosen.compression != Compression::None {
            return Ok(true);
        }
        let files = self.chosen.entries.iter().map(|entry| &entry.meta);
        multiline::any(store, files, delimiter, MIN_SPLIT_BYTES as u64).await
    }

    fn reader(&self, delimiter: u8, split: bool) -> Arc<dyn FileFormat> {
        let compression = engine_type(self.chosen.compression);
        match self.chosen.format {
            TableFormat::Csv => Arc::new(
                CsvFormat::default()
                    .with_has_header(self.has_header())
                    .with_delimiter(delimiter)
                    .with_newlines_in_values(!split)
                    .with_file_compression_type(compression),
            ),
            TableFormat::Parquet => Arc::new(ParquetFormat::default().with_force_view_types(false)),
            TableFormat::Ndjson => Arc::new(JsonFormat::default().with_file_compression_type(compression)),
        }
    }

    fn files(&mut self, schemas: Vec<FileSchema>, partitions: Partitions) -> Vec<TableFile> {
        let entries = std::mem::take(&mut self.chosen.entries);
        let file = |((entry, (_, schema)), values): ((Entry, FileSchema), Vec<_>)| TableFile {
            file: PartitionedFile::new_from_meta(entry.meta).with_partition_values(values),
            schema: Some(schema),
            figures: OnceCell::new(),
        };
        entries.into_iter().zip(schemas).zip(partitions.values).map(file).collect()
    }

    fn has_header(&self) -> bool {
        self.options.header.unwrap_or(true)
    }

    fn delimiter(&self) -> Result<u8, Error> {
        let tabs = self.chosen.entries.iter().all(|entry| choose::is_tsv(&entry.relative));
        let chosen = self.options.delimiter.unwrap_or(if tabs { '\t' } else { ',' });
        match u8::try_from(chosen).ok().filter(u8::is_ascii) {
            Some(b'"' | b'\n' | b'\r') => Err(Error::Invalid("a quote or a line break cannot be the delimiter".to_owned())),
            Some(delimiter) => Ok(delimiter),
            None => Err(Error::Invalid(format!("delimiter {chosen:?} is not one ASCII character"))),
        }
    }
}

fn in_table(name: &str, error: Error) -> Error {
    error.context(&format!("table {name:?}"))
}
