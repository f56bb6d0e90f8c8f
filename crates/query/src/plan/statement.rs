//! Reading SQL: one statement, and only one that reads.

use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;

use super::{Query, nesting};
use crate::Error;

/// Longest SQL accepted.
const MAX_SQL_BYTES: usize = 256 * 1024;
/// Nesting the parser accepts (parentheses, subqueries).
const PARSER_DEPTH: usize = 100;

/// The statement, once it is one that may be planned.
pub(super) fn parse(sql: &str) -> Result<Statement, Error> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(Error::TooLarge(format!(
            "the query has {} bytes, {MAX_SQL_BYTES} are allowed",
            sql.len()
        )));
    }
    let tokens = nesting::check(sql)?;
    let parser = DFParserBuilder::new(tokens)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(PARSER_DEPTH)
        .build();
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let mut statements = statements.map_err(|error| Error::from_engine(&error))?;
    match (statements.pop_front(), statements.len()) {
        (None, _) => Err(Error::Invalid("the query is empty".to_owned())),
        (Some(_), 1..) => Err(Error::Invalid(
            "the query has several statements: submit one job for each".to_owned(),
        )),
        (Some(statement), 0) => only_reading(statement),
    }
}

fn only_reading(statement: Statement) -> Result<Statement, Error> {
    let Statement::Statement(inner) = &statement else {
        return Err(refused(&statement.to_string()));
    };
    if matches!(inner.as_ref(), SqlStatement::Query(_)) {
        Ok(statement)
    } else {
        Err(refused(&inner.to_string()))
    }
}

fn refused(statement: &str) -> Error {
    let words: Vec<_> = statement.split_whitespace().take(2).collect();
    Error::Invalid(format!(
        "{} is refused: a job reads with SELECT, WITH or VALUES and writes nothing but its result",
        words.join(" ")
    ))
}

/// The logical plan of a statement over registered tables.
pub(super) async fn analyse(ctx: &SessionContext, statement: Statement, query: &Query) -> Result<LogicalPlan, Error> {
    let plan = ctx
        .state()
        .statement_to_plan(statement)
        .await
        .map_err(|error| explain(&error, query))?;
    // A second look, at the plan: writes also hide inside queries.
    let reading = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|error| Error::from_engine(&error))?;
    Ok(plan)
}

/// The engine's message; for an unknown table, with the tables that there are.
fn explain(error: &DataFusionError, query: &Query) -> Error {
    let text = error.strip_backtrace();
    let unknown = text
        .split_once("table 'datafusion.public.")
        .and_then(|(_, rest)| rest.split_once("' not found"));
    match unknown {
        Some((table, _)) if query.tables.is_empty() => Error::Invalid(format!(
            "table {table:?} is unknown: the job names no tables, add it to `tables` with its uri"
        )),
        Some((table, _)) => {
            let known: Vec<_> = query.tables.keys().map(String::as_str).collect();
            Error::Invalid(format!(
                "table {table:?} is unknown: the job's `tables` are {}",
                known.join(", ")
            ))
        }
        None => Error::from_engine(error),
    }
}
