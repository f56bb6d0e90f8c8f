//! A bound on how deep an expression can get, found before anything recursive sees it.
//!
//! The parser limits its own recursion, but builds chains (`1 + 1 + …`, `a OR b OR …`, `UNION`s) in a loop, and everything after it
//! walks them recursively. The depth of a chain is at most the number of its operators, and those can be counted from tokens.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::Error;

/// Operators in one expression (planning takes the square of it: some seconds at this many), or set operations and joins in one query (each of which costs more), over all levels of nesting.
const MAX_DEPTH: usize = 1_000;
/// What a set operation or a join counts for.
const JOIN_COST: usize = 20;

/// Operators on the way to the current token, at one level of parentheses.
#[derive(Default, Clone, Copy)]
struct Level {
    expression: usize,
    query: usize,
}

/// The tokens of the SQL, when no part of it can be nested too deeply.
pub(super) fn check(sql: &str) -> Result<Vec<TokenWithSpan>, Error> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| Error::Invalid(format!("SQL error: {error}")))?;
    let mut levels = vec![Level::default()];
    // Depth of the levels below the top one.
    let mut below = 0;
    for token in &tokens {
        let nested = levels.len() > 1;
        let Some(top) = levels.last_mut() else { break };
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                below += top.expression + top.query + 1;
                levels.push(Level::default());
                continue;
            }
            Token::RParen | Token::RBracket | Token::RBrace if nested => {
                levels.pop();
                if let Some(top) = levels.last_mut() {
                    below -= top.expression + top.query + 1;
                    // A pair may be a step of a chain itself: `a[1][1]…`, `f(x)(y)…`.
                    top.expression += 1;
                }
                continue;
            }
            Token::Comma => top.expression = 0,
            Token::Word(word) => match word.keyword {
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::HAVING | Keyword::VALUES => top.expression = 0,
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => top.query += JOIN_COST,
                word if is_operator(word) => top.expression += 1,
                _ => {}
            },
            Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::SemiColon | Token::EOF => {}
            _ => top.expression += 1,
        }
        if below + top.expression + top.query > MAX_DEPTH {
            return Err(Error::TooLarge(format!(
                "the query is nested too deeply (line {}): an expression may have {MAX_DEPTH} operators; use IN (…) for long lists of \
                 alternatives, or a table",
                token.span.start.line
            )));
        }
    }
    Ok(tokens)
}

/// Keywords that expressions are chained with. Others are clauses, or names.
const fn is_operator(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::NOTNULL
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::DIV
            | Keyword::OVERLAPS
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::ELSE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_not_deep_and_long_chains_are() {
        let list = (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        assert!(check(&format!("SELECT * FROM t WHERE a IN ({list})")).is_ok());
        assert!(check(&format!("SELECT {}", vec!["a + b"; 5_000].join(", "))).is_ok());
        assert!(check(&format!("SELECT {}", vec!["1"; 900].join(" + "))).is_ok());
        for deep in [
            format!("SELECT {}", vec!["1"; 10_000].join(" + ")),
            format!("SELECT {} 1", "NOT ".repeat(10_000)),
            format!("SELECT a{}", "[1]".repeat(10_000)),
            format!("SELECT a{}", "::int".repeat(10_000)),
            format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
            vec!["SELECT 1"; 10_000].join(" UNION ALL "),
            format!("SELECT * FROM a {}", "JOIN a ON true ".repeat(10_000)),
            format!("SELECT {}1{}", "f(1, 1 + ".repeat(5_000), ")".repeat(5_000)),
        ] {
            assert!(matches!(check(&deep), Err(Error::TooLarge(_))), "{}…", &deep[..40]);
        }
    }
}
