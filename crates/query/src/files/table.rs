//! Registration of a job's tables in a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use api::job::{TableFormat, TableOptions, TableSpec};
use datafusion::catalog::Session;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::object_store::ObjectStoreExt;
use datafusion::prelude::SessionContext;

use super::DataDirs;
use super::location::Location;
use crate::Error;

/// Rows looked at to tell the columns of a CSV or NDJSON table.
const INFERENCE_ROWS: usize = 10_000;

/// Registers every table under its own name, and under that name in lower case (which is what SQL makes of unquoted names).
pub(crate) async fn register(ctx: &SessionContext, tables: &BTreeMap<String, TableSpec>, dirs: &DataDirs) -> Result<(), Error> {
    for (name, spec) in tables {
        if name.is_empty() || name.len() > 256 {
            return Err(Error::Invalid("a table's name must have 1 to 256 bytes".to_owned()));
        }
        let table = Arc::new(open(ctx, name, spec, dirs).await?);
        let lower = name.to_lowercase();
        let names = if tables.contains_key(&lower) { vec![name.clone()] } else { vec![name.clone(), lower] };
        for name in names {
            let table = Arc::clone(&table) as _;
            ctx.register_table(TableReference::bare(name), table).map_err(|error| Error::from_engine(&error))?;
        }
    }
    Ok(())
}

async fn open(ctx: &SessionContext, name: &str, spec: &TableSpec, dirs: &DataDirs) -> Result<ListingTable, Error> {
    let location = {
        let (name, spec, dirs) = (name.to_owned(), spec.clone(), dirs.clone());
        let found = tokio::task::spawn_blocking(move || Location::find(&name, &spec, &dirs)).await;
        found.map_err(|error| Error::Internal(error.to_string()))??
    };
    let format = reader(name, location.format, &spec.options, &location)?;
    infer(ctx, &location, format).await.map_err(|error| {
        Error::Invalid(format!("table {name:?} ({}): {}", spec.uri, error.strip_backtrace()))
    })
}

async fn infer(ctx: &SessionContext, location: &Location, format: Arc<dyn FileFormat>) -> Result<ListingTable, DataFusionError> {
    let state = ctx.state();
    let mut urls = Vec::with_capacity(location.files.len());
    let mut objects = Vec::with_capacity(location.files.len());
    let mut store = None;
    for file in &location.files {
        // A directory's file names are taken literally: no globs, no listing.
        let url = file_url(file)?;
        let files = state.runtime_env().object_store(&url)?;
        let object = files.head(url.prefix()).await?;
        if object.size > 0 {
            objects.push(object);
        }
        urls.push(url);
        store = Some(files);
    }
    let Some(store) = store else { return Err(DataFusionError::Plan("it has no files".to_owned())) };
    if objects.is_empty() {
        return Err(DataFusionError::Plan("its files are empty, so its columns are unknown".to_owned()));
    }
    let schema = format.infer_schema(&state as &dyn Session, &store, &objects).await?;
    let options = ListingOptions::new(format).with_file_extension("");
    ListingTable::try_new(ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema))
}

fn file_url(file: &Path) -> Result<ListingTableUrl, DataFusionError> {
    let path = file.to_str().ok_or_else(|| DataFusionError::Plan(format!("{} is not UTF-8", file.display())))?;
    let mut url = ListingTableUrl::parse("file:///")?.get_url().clone();
    // Everything else that is special in a URL is encoded by `set_path` itself.
    url.set_path(&path.replace('%', "%25"));
    ListingTableUrl::try_new(url, None)
}

fn reader(name: &str, format: TableFormat, options: &TableOptions, location: &Location) -> Result<Arc<dyn FileFormat>, Error> {
    if format != TableFormat::Csv && *options != TableOptions::default() {
        return Err(Error::Invalid(format!("table {name:?}: `header` and `delimiter` are options of CSV only")));
    }
    Ok(match format {
        TableFormat::Csv => {
            let tabs = location.files.iter().all(|file| file.extension().is_some_and(|e| e.eq_ignore_ascii_case("tsv")));
            let delimiter = options.delimiter.unwrap_or(if tabs { '\t' } else { ',' });
            let delimiter = u8::try_from(delimiter).ok().filter(u8::is_ascii).ok_or_else(|| {
                Error::Invalid(format!("table {name:?}: delimiter {delimiter:?} is not one ASCII character"))
            })?;
            if [b'"', b'\n', b'\r'].contains(&delimiter) {
                return Err(Error::Invalid(format!("table {name:?}: a quote or a line break cannot be the delimiter")));
            }
            let csv = CsvFormat::default().with_has_header(options.header.unwrap_or(true)).with_delimiter(delimiter);
            Arc::new(csv.with_schema_infer_max_rec(INFERENCE_ROWS))
        }
        TableFormat::Parquet => Arc::new(ParquetFormat::default().with_force_view_types(false)),
        TableFormat::Ndjson => Arc::new(JsonFormat::default().with_schema_infer_max_rec(INFERENCE_ROWS)),
    })
}
