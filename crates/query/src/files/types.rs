//! Columns as users declare them: SQL types, as the engine understands them in a `CAST`.

use api::job::ColumnSpec;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::DataType as SqlType;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::Error;

/// The fields that a table's `schema` declares.
pub(super) async fn declared(ctx: &SessionContext, columns: &[ColumnSpec]) -> Result<Vec<Field>, Error> {
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    for column in columns {
        if fields.iter().any(|field| *field.name() == column.name) {
            return Err(Error::Invalid(format!(
                "`schema` declares the column {:?} twice",
                column.name
            )));
        }
        fields.push(Field::new(&column.name, type_of(ctx, column).await?, true));
    }
    Ok(fields)
}

async fn type_of(ctx: &SessionContext, column: &ColumnSpec) -> Result<DataType, Error> {
    let refuse = |why: &dyn std::fmt::Display| {
        Error::Invalid(format!(
            "`schema`: {:?} is no SQL type for the column {:?} (bigint, double, decimal(12,2), varchar, date, timestamp, …): {why}",
            column.data_type, column.name
        ))
    };
    if column.data_type.len() > 256 {
        return Err(refuse(&"it is too long"));
    }
    let parsed = parse(&column.data_type).map_err(|error| refuse(&error))?;
    let planned = ctx
        .state()
        .create_logical_plan(&format!("SELECT CAST(NULL AS {parsed})"))
        .await;
    let planned = planned.map_err(|error| refuse(&error.strip_backtrace()))?;
    Ok(match planned.schema().field(0).data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    })
}

/// Only a type, to its end: what follows would be SQL of the user's making.
fn parse(text: &str) -> Result<SqlType, String> {
    let parser = Parser::new(&GenericDialect {}).try_with_sql(text);
    let mut parser = parser.map_err(|error| error.to_string())?;
    let parsed = parser.parse_data_type().map_err(|error| error.to_string())?;
    match parser.next_token().token {
        Token::EOF => Ok(parsed),
        more => Err(format!("{more:?} stands after the type")),
    }
}
