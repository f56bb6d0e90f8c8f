//! Conditions, expressions and aggregates of generated queries.

use super::{Generator, Relation, TYPES, Type};

impl Generator {
    pub(super) fn aggregated(&mut self, of: Type, relation: &Relation) -> String {
        let filter = if self.one_in(5) {
            format!(" FILTER (WHERE {})", self.predicate(relation, 0))
        } else {
            String::new()
        };
        let distinct = if self.one_in(4) { "DISTINCT " } else { "" };
        match of {
            Type::Int if self.one_in(3) => format!("count(*){filter}"),
            Type::Int if self.one_in(2) => {
                let counted = self.pick(&TYPES);
                format!("count({distinct}{}){filter}", self.column(counted, relation))
            }
            Type::Int => {
                let function = self.pick(&["sum", "min", "max"]);
                format!("CAST({function}({}) AS BIGINT){filter}", self.column(Type::Int, relation))
                    .replace(&format!(" AS BIGINT){filter}"), &format!("{filter} AS BIGINT)"))
            }
            Type::Double => {
                let function = self.pick(&["sum", "avg", "min", "max", "stddev_pop", "var_pop"]);
                let distinct = if matches!(function, "sum" | "avg") { distinct } else { "" };
                format!("{function}({distinct}{}){filter}", self.column(Type::Double, relation))
            }
            Type::Bool => format!("({} > {})", self.aggregated(Type::Int, relation), self.below(50)),
            Type::Text | Type::Date => {
                let function = self.pick(&["min", "max"]);
                format!("{function}({}){filter}", self.column(of, relation))
            }
        }
    }

    pub(super) fn predicate(&mut self, relation: &Relation, depth: usize) -> String {
        let of = self.pick(&[Type::Int, Type::Int, Type::Double, Type::Text, Type::Date]);
        let left = self.expression(of, relation, 1);
        match self.below(if depth == 0 { 8 } else { 14 }) {
            0..3 => {
                let right = self.expression(of, relation, 0);
                format!("{left} {} {right}", self.pick(&["=", "<>", "<", ">=", "IS DISTINCT FROM"]))
            }
            3 => format!("{left} IS {}NULL", self.pick(&["", "NOT "])),
            4 => {
                let list: Vec<_> = (0..=self.below(3)).map(|_| self.literal(of)).collect();
                let null = if self.one_in(4) { ", NULL" } else { "" };
                format!("{left} {}IN ({}{null})", self.pick(&["", "NOT "]), list.join(", "))
            }
            5 => format!("({} AND {})", self.predicate(relation, 0), self.predicate(relation, 0)),
            6 => format!(
                "({} OR {})",
                self.predicate(relation, depth.saturating_sub(1)),
                self.predicate(relation, 0)
            ),
            7 => format!("NOT ({})", self.predicate(relation, 0)),
            8..11 => {
                let inner = self.select(&[of], depth - 1);
                let left = self.column(of, relation);
                format!("{left} {}IN (SELECT q.c0 FROM ({inner}) q)", self.pick(&["", "NOT ", "NOT "]))
            }
            11 | 12 => {
                let inner = self.table();
                let (ours, theirs) = (self.column(of, relation), self.column(of, &inner));
                let and = self.predicate(&inner, 0);
                format!(
                    "{}EXISTS (SELECT 1 FROM {} WHERE {theirs} = {ours} AND {and})",
                    self.pick(&["", "NOT "]),
                    inner.from
                )
            }
            _ => {
                let inner = self.table();
                let function = self.pick(&["min", "max"]);
                let value = self.column(of, &inner);
                let correlated = if self.one_in(2) {
                    format!(
                        " WHERE {} = {}",
                        self.column(Type::Int, &inner),
                        self.column(Type::Int, relation)
                    )
                } else {
                    String::new()
                };
                format!(
                    "{left} {} (SELECT {function}({value}) FROM {}{correlated})",
                    self.pick(&["=", "<", ">="]),
                    inner.from
                )
            }
        }
    }

    pub(super) fn expression(&mut self, of: Type, relation: &Relation, depth: usize) -> String {
        if depth == 0 || self.one_in(2) {
            return if self.one_in(6) {
                self.literal(of)
            } else {
                self.column(of, relation)
            };
        }
        let inner = self.expression(of, relation, depth - 1);
        match (of, self.below(4)) {
            (_, 0) => format!("coalesce({inner}, {})", self.literal(of)),
            (_, 1) => format!(
                "CASE WHEN {} THEN {inner} ELSE {} END",
                self.predicate(relation, 0),
                self.column(of, relation)
            ),
            (Type::Int, 2) => format!("CAST(length({}) AS BIGINT)", self.column(Type::Text, relation)),
            (Type::Int, _) => format!("({inner} + {})", self.below(9)),
            (Type::Double, _) => format!("({inner} * 2)"),
            (Type::Text, 2) => format!("upper({inner})"),
            (Type::Text, _) => format!("({inner} || '+')"),
            (Type::Date, _) => inner,
            (Type::Bool, _) => format!("({})", self.predicate(relation, 0)),
        }
    }
}
