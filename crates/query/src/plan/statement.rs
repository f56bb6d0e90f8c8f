//! Reading SQL: one statement, that reads, explains, or writes a dataset.

use api::job::{OutputMode, OutputSpec};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::{DFParserBuilder, ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{CreateTable, Ident, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::Sql;
use super::{Query, nesting};
use crate::Error;

/// Longest SQL accepted.
const MAX_SQL_BYTES: usize = 256 * 1024;
/// Nesting the parser accepts (parentheses, subqueries).
const PARSER_DEPTH: usize = 100;

/// A statement that may be planned.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What reads: a query.
    pub(super) query: Statement,
    /// What becomes of its rows.
    pub(super) purpose: Purpose,
}

/// What becomes of the rows of a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are the result.
    Rows,
    /// There are none: its stages are the result.
    Explain,
    /// They become a dataset.
    Write(OutputSpec),
}

/// The statement, once it is one that may be planned.
pub(super) fn parse(sql: &str) -> Result<Parsed, Error> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(Error::TooLarge(format!(
            "the query has {} bytes, {MAX_SQL_BYTES} are allowed",
            sql.len()
        )));
    }
    let tokens = nesting::check(sql)?;
    no_multisets(&tokens)?;
    let parser = DFParserBuilder::new(tokens)
        .with_dialect(&Sql(GenericDialect {}))
        .with_recursion_limit(PARSER_DEPTH)
        .build();
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let mut statements = statements.map_err(|error| Error::from_engine(&error))?;
    match (statements.pop_front(), statements.len()) {
        (None, _) => Err(Error::Invalid("the query is empty".to_owned())),
        (Some(_), 1..) => Err(Error::Invalid(
            "the query has several statements: submit one job for each".to_owned(),
        )),
        (Some(statement), 0) => allowed(statement),
    }
}

/// The engine drops duplicates, or keeps too many, where `INTERSECT ALL` and `EXCEPT ALL` count them.
fn no_multisets(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let keywords: Vec<_> = words
        .map(|token| match &token.token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        })
        .collect();
    let counts = |pair: &[Keyword]| matches!(pair, [Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS, Keyword::ALL]);
    if keywords.windows(2).any(counts) {
        return Err(Error::Invalid(
            "INTERSECT ALL and EXCEPT ALL are refused: number equal rows with row_number() OVER (PARTITION BY …) on both sides, and use \
             INTERSECT or EXCEPT"
                .to_owned(),
        ));
    }
    Ok(())
}

fn allowed(statement: Statement) -> Result<Parsed, Error> {
    match statement {
        Statement::Explain(explain) => explained(explain),
        Statement::Statement(inner) => match *inner {
            SqlStatement::CreateTable(create) if create.query.is_some() => written(create),
            SqlStatement::Query(_) => Ok(Parsed {
                query: Statement::Statement(inner),
                purpose: Purpose::Rows,
            }),
            other => Err(refused(&other.to_string())),
        },
        other => Err(refused(&other.to_string())),
    }
}

fn explained(explain: ExplainStatement) -> Result<Parsed, Error> {
    if explain.options.analyze {
        return Err(Error::Invalid(
            "EXPLAIN ANALYZE is refused: submit the query itself, and look at the job's plan, tasks and cost".to_owned(),
        ));
    }
    let plain = ExplainStatement {
        options: Default::default(),
        statement: explain.statement.clone(),
    };
    if explain.options != plain.options {
        return Err(Error::Invalid("EXPLAIN has no options here: write EXPLAIN query".to_owned()));
    }
    match allowed(*explain.statement)? {
        Parsed {
            purpose: Purpose::Explain,
            ..
        } => Err(Error::Invalid("EXPLAIN EXPLAIN is refused: write EXPLAIN query".to_owned())),
        Parsed { query, .. } => Ok(Parsed {
            query,
            purpose: Purpose::Explain,
        }),
    }
}

fn written(create: CreateTable) -> Result<Parsed, Error> {
    let (Some(query), [name]) = (&create.query, create.name.0.as_slice()) else {
        return Err(Error::Invalid(format!(
            "{} is refused as the name of a dataset: it has one part",
            create.name
        )));
    };
    let or_replace = if create.or_replace { "OR REPLACE " } else { "" };
    // Whatever else was said (IF NOT EXISTS, columns, options of storage) would be ignored.
    if create.to_string() != format!("CREATE {or_replace}TABLE {name} AS {query}") {
        return Err(Error::Invalid(
            "only CREATE [OR REPLACE] TABLE name AS query is offered, without anything more".to_owned(),
        ));
    }
    let output = OutputSpec {
        dataset: match name.as_ident() {
            Some(Ident {
                value,
                quote_style: Some(_),
                ..
            }) => value.clone(),
            Some(name) => name.value.to_lowercase(),
            None => return Err(Error::Invalid(format!("{name} is refused as the name of a dataset"))),
        },
        mode: if create.or_replace {
            OutputMode::Replace
        } else {
            OutputMode::Create
        },
    };
    Ok(Parsed {
        query: Statement::Statement(Box::new(SqlStatement::Query(query.clone()))),
        purpose: Purpose::Write(output),
    })
}

fn refused(statement: &str) -> Error {
    let words: Vec<_> = statement.split_whitespace().take(2).collect();
    Error::Invalid(format!(
        "{} is refused: a job reads with SELECT, WITH or VALUES, explains with EXPLAIN query, and writes with \
         CREATE [OR REPLACE] TABLE name AS query",
        words.join(" ")
    ))
}

/// The logical plan of a statement over registered tables.
pub(super) async fn analyse(state: &SessionState, statement: Statement, query: &Query) -> Result<LogicalPlan, Error> {
    let plan = state
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_as_a_query_names_a_dataset_and_says_what_becomes_of_an_old_one() {
        for (sql, dataset, mode) in [
            ("CREATE TABLE Totals AS SELECT 1 a", "totals", OutputMode::Create),
            (
                "create or replace table \"Totals\" as (select 1 a)",
                "Totals",
                OutputMode::Replace,
            ),
            (
                "CREATE TABLE t AS WITH x AS (SELECT 1) SELECT * FROM x",
                "t",
                OutputMode::Create,
            ),
        ] {
            let output = OutputSpec {
                dataset: dataset.to_owned(),
                mode,
            };
            assert_eq!(parse(sql).unwrap().purpose, Purpose::Write(output), "{sql}");
        }
    }

    #[test]
    fn is_distinct_from_binds_tighter_than_and() {
        let tree = |sql: &str| format!("{:?}", parse(sql).unwrap().query);
        let shown = tree("SELECT a IS DISTINCT FROM b + 1 AND c IS NOT DISTINCT FROM d OR e");
        let at = |part: &str| shown.find(part).unwrap_or_else(|| panic!("no {part} in {shown}"));
        // The outer operator of two is shown after its left side.
        assert!(
            at("IsDistinctFrom") < at("op: And")
                && at("op: And") < at("IsNotDistinctFrom")
                && at("IsNotDistinctFrom") < at("op: Or")
        );
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for sql in [
            "CREATE TABLE IF NOT EXISTS t AS SELECT 1",
            "CREATE TEMPORARY TABLE t AS SELECT 1",
            "CREATE TABLE t (a INT) AS SELECT 1",
            "CREATE TABLE a.t AS SELECT 1",
            "CREATE TABLE t (a INT)",
            "CREATE VIEW t AS SELECT 1",
            "EXPLAIN VERBOSE SELECT 1",
            "EXPLAIN FORMAT TREE SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "EXPLAIN EXPLAIN SELECT 1",
            "EXPLAIN DROP TABLE t",
            "SELECT 1 INTERSECT ALL SELECT 1",
            "(SELECT 1) except -- all of them\n all (SELECT 1)",
        ] {
            assert!(matches!(parse(sql), Err(Error::Invalid(_))), "{sql}");
        }
        assert_eq!(parse("EXPLAIN SELECT 1").unwrap().purpose, Purpose::Explain);
        assert_eq!(parse("EXPLAIN CREATE TABLE t AS SELECT 1").unwrap().purpose, Purpose::Explain);
    }
}
