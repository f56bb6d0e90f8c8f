//! Registration of a job's tables in a session.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use api::job::{TableFormat, TableOptions, TableSpec};
use api::task::PlanTable;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::SchemaRef;
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

use super::location::Location;
use super::{DataDirs, footer, multiline};
use crate::Error;
use crate::session::MIN_SPLIT_BYTES;

/// Rows looked at to tell the columns of a CSV or NDJSON table.
const INFERENCE_ROWS: usize = 10_000;

/// Registers every table under its own name, and under that name in lower case (which is what SQL makes of unquoted names).
pub(crate) async fn register(ctx: &SessionContext, tables: &BTreeMap<String, PlanTable>, dirs: &DataDirs) -> Result<(), Error> {
    for (name, table) in tables {
        if name.is_empty() || name.len() > 256 {
            return Err(Error::Invalid("a table's name must have 1 to 256 bytes".to_owned()));
        }
        let table = Arc::new(open(ctx, name, &table.spec, dirs).await?);
        let lower = name.to_lowercase();
        let names = if tables.contains_key(&lower) {
            vec![name.clone()]
        } else {
            vec![name.clone(), lower]
        };
        for name in names {
            let table = Arc::clone(&table) as _;
            ctx.register_table(TableReference::bare(name), table)
                .map_err(|error| Error::from_engine(&error))?;
        }
    }
    Ok(())
}

async fn open(ctx: &SessionContext, name: &str, spec: &TableSpec, dirs: &DataDirs) -> Result<ListingTable, Error> {
    let (location, known) = {
        let (name, spec, dirs) = (name.to_owned(), spec.clone(), dirs.clone());
        let found = tokio::task::spawn_blocking(move || look(&name, &spec, &dirs)).await;
        found.map_err(|error| Error::Internal(error.to_string()))??
    };
    let format = reader(name, &spec.options, &location, known.is_some())?;
    infer(ctx, &location, format, known).await.map_err(|error| {
        Error::Invalid(format!(
            "table {name:?} ({}): {}",
            spec.uri.as_deref().unwrap_or_default(),
            error.strip_backtrace()
        ))
    })
}

/// Finds the files of a table and sees whether they can be what they are said to be; and its columns when it is CSV whose fields span lines, which the engine's own inference takes
/// for ends of rows.
fn look(name: &str, spec: &TableSpec, dirs: &DataDirs) -> Result<(Location, Option<SchemaRef>), Error> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::Invalid(format!(
            "table {name:?} ({}): {error}",
            spec.uri.as_deref().unwrap_or_default()
        ))
    };
    let location = Location::find(name, spec, dirs)?;
    if location.format == TableFormat::Parquet {
        footer::check(&location.files).map_err(|error| wrong(&error))?;
    }
    let split_above = MIN_SPLIT_BYTES as u64;
    if location.format != TableFormat::Csv || !multiline::any(&location.files, split_above).map_err(|error| wrong(&error))? {
        return Ok((location, None));
    }
    let format = Format::default()
        .with_header(has_header(&spec.options))
        .with_delimiter(delimiter(name, &spec.options, &location)?);
    let file = location
        .files
        .first()
        .map(File::open)
        .transpose()
        .map_err(|error| wrong(&error))?;
    let inferred = file
        .map(|file| format.infer_schema(file, Some(INFERENCE_ROWS)))
        .transpose()
        .map_err(|error| wrong(&error))?;
    Ok((location, inferred.map(|(schema, _)| Arc::new(schema))))
}

async fn infer(
    ctx: &SessionContext,
    location: &Location,
    format: Arc<dyn FileFormat>,
    known: Option<SchemaRef>,
) -> Result<ListingTable, DataFusionError> {
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
    let Some(store) = store else {
        return Err(DataFusionError::Plan("it has no files".to_owned()));
    };
    if objects.is_empty() {
        return Err(DataFusionError::Plan(
            "its files are empty, so its columns are unknown".to_owned(),
        ));
    }
    let schema = match known {
        Some(schema) => schema,
        None => format.infer_schema(&state as &dyn Session, &store, &objects).await?,
    };
    let options = ListingOptions::new(format).with_file_extension("");
    ListingTable::try_new(
        ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(schema),
    )
}

fn file_url(file: &Path) -> Result<ListingTableUrl, DataFusionError> {
    let path = file
        .to_str()
        .ok_or_else(|| DataFusionError::Plan(format!("{} is not UTF-8", file.display())))?;
    let mut url = ListingTableUrl::parse("file:///")?.get_url().clone();
    // Everything else that is special in a URL is encoded by `set_path` itself.
    url.set_path(&path.replace('%', "%25"));
    ListingTableUrl::try_new(url, None)
}

fn reader(name: &str, options: &TableOptions, location: &Location, multiline: bool) -> Result<Arc<dyn FileFormat>, Error> {
    let format = location.format;
    if format != TableFormat::Csv && *options != TableOptions::default() {
        return Err(Error::Invalid(format!(
            "table {name:?}: `header` and `delimiter` are options of CSV only"
        )));
    }
    Ok(match format {
        TableFormat::Csv => {
            let csv = CsvFormat::default()
                .with_has_header(has_header(options))
                .with_delimiter(delimiter(name, options, location)?);
            Arc::new(
                csv.with_newlines_in_values(multiline)
                    .with_schema_infer_max_rec(INFERENCE_ROWS),
            )
        }
        TableFormat::Parquet => Arc::new(ParquetFormat::default().with_force_view_types(false)),
        TableFormat::Ndjson => Arc::new(JsonFormat::default().with_schema_infer_max_rec(INFERENCE_ROWS)),
    })
}

fn has_header(options: &TableOptions) -> bool {
    options.header.unwrap_or(true)
}

fn delimiter(name: &str, options: &TableOptions, location: &Location) -> Result<u8, Error> {
    let tabs = location.files.iter().all(|file| {
        file.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"))
    });
    let chosen = options.delimiter.unwrap_or(if tabs { '\t' } else { ',' });
    match u8::try_from(chosen).ok().filter(u8::is_ascii) {
        Some(b'"' | b'\n' | b'\r') => Err(Error::Invalid(format!(
            "table {name:?}: a quote or a line break cannot be the delimiter"
        ))),
        Some(delimiter) => Ok(delimiter),
        None => Err(Error::Invalid(format!(
            "table {name:?}: delimiter {chosen:?} is not one ASCII character"
        ))),
    }
}
