//! Queries made up from a seed: every one has one right answer as a multiset of rows, whatever order rows come in.
//!
//! Tables all have the columns `id BIGINT, k BIGINT, v DOUBLE, s VARCHAR, d DATE, b BOOLEAN`. Sums are exact (`v` is a multiple of
//! 1/8), windows and limits order by all columns there are, so that only equal rows can change places.

mod expression;

use crate::tests::data::Numbers;

/// Names of the tables.
pub(super) const TABLES: [&str; 4] = ["large", "middle", "few", "nothing"];

/// Types of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Double,
    Text,
    Date,
    Bool,
}

const TYPES: [Type; 5] = [Type::Int, Type::Double, Type::Text, Type::Date, Type::Bool];

/// Something to select from.
struct Relation {
    from: String,
    columns: Vec<(String, Type)>,
}

/// Makes queries.
pub(super) struct Generator {
    numbers: Numbers,
    names: usize,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            numbers: Numbers(seed),
            names: 0,
        }
    }

    /// A whole query.
    pub(super) fn query(&mut self) -> String {
        let types: Vec<_> = (0..=self.below(3)).map(|_| self.pick(&TYPES)).collect();
        if self.one_in(6) {
            return self.with_common(&types);
        }
        let query = self.select(&types, 3);
        if self.one_in(3) {
            self.limited(&query, types.len())
        } else {
            query
        }
    }

    fn with_common(&mut self, types: &[Type]) -> String {
        let common = self.select(&[Type::Int, Type::Text, types[0]], 2);
        let left = format!("l.c0, l.c1, r.c{}", self.below(3));
        let join = self.pick(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
        format!("WITH x AS ({common}) SELECT {left} FROM x l {join} x r ON l.c0 = r.c0 AND l.c1 = r.c1")
    }

    /// A query with columns `c0`, `c1`, … of these types.
    fn select(&mut self, types: &[Type], depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 12 }) {
            0..4 => self.projection(types, depth),
            4..7 => self.aggregate(types, depth),
            7 | 8 => self.window(types, depth),
            9 => {
                let (left, right) = (self.select(types, depth - 1), self.select(types, depth - 1));
                let operation = self.pick(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
                format!("({left}) {operation} ({right})")
            }
            10 => {
                let inner = self.select(types, depth - 1);
                self.limited(&inner, types.len())
            }
            _ => {
                let inner = self.select(types, depth - 1);
                let columns: Vec<_> = (0..types.len()).map(|n| format!("q.c{n}")).collect();
                format!("SELECT DISTINCT {} FROM ({inner}) q", columns.join(", "))
            }
        }
    }

    /// The first rows in an order that leaves no choice.
    fn limited(&mut self, query: &str, columns: usize) -> String {
        let selected: Vec<_> = (0..columns).map(|n| format!("q.c{n}")).collect();
        let order: Vec<_> = (0..columns).map(|n| format!("q.c{n} {}", self.direction())).collect();
        let offset = if self.one_in(3) {
            format!(" OFFSET {}", self.below(20))
        } else {
            String::new()
        };
        let (selected, order, limit) = (selected.join(", "), order.join(", "), self.below(40));
        format!("SELECT {selected} FROM ({query}) q ORDER BY {order} LIMIT {limit}{offset}")
    }

    fn direction(&mut self) -> &'static str {
        self.pick(&["ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST"])
    }

    fn projection(&mut self, types: &[Type], depth: usize) -> String {
        let relation = self.relation(depth);
        let columns = self.expressions(types, &relation);
        let distinct = if self.one_in(6) { "DISTINCT " } else { "" };
        format!(
            "SELECT {distinct}{columns} FROM {}{}",
            relation.from,
            self.condition(&relation, depth)
        )
    }

    fn expressions(&mut self, types: &[Type], relation: &Relation) -> String {
        let one = |(n, of): (usize, &Type)| format!("{} AS c{n}", self.expression(*of, relation, 2));
        types.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }

    fn condition(&mut self, relation: &Relation, depth: usize) -> String {
        if self.one_in(3) {
            String::new()
        } else {
            format!(" WHERE {}", self.predicate(relation, depth.min(2)))
        }
    }

    fn aggregate(&mut self, types: &[Type], depth: usize) -> String {
        let relation = self.relation(depth);
        let keys: Vec<_> = (0..self.below(3)).map(|_| self.pick(&relation.columns)).collect();
        let names: Vec<_> = keys.iter().map(|(name, _)| name.clone()).collect();
        let one = |(n, of): (usize, &Type)| {
            let key = keys.iter().find(|(_, key)| key == of).filter(|_| self.one_in(2));
            let value = key.map_or_else(|| self.aggregated(*of, &relation), |(name, _)| name.clone());
            format!("{value} AS c{n}")
        };
        let columns = types.iter().enumerate().map(one).collect::<Vec<_>>().join(", ");
        let group = match (names.len(), self.below(6)) {
            (0, _) => String::new(),
            (2, 0) => format!(" GROUP BY ROLLUP ({})", names.join(", ")),
            (2, 1) => format!(" GROUP BY CUBE ({})", names.join(", ")),
            (2, 2) => format!(" GROUP BY GROUPING SETS (({0}), ({1}), ({0}, {1}), ())", names[0], names[1]),
            _ => format!(" GROUP BY {}", names.join(", ")),
        };
        let having = if self.one_in(4) {
            format!(" HAVING count(*) > {}", self.below(4))
        } else {
            String::new()
        };
        format!(
            "SELECT {columns} FROM {}{}{group}{having}",
            relation.from,
            self.condition(&relation, depth)
        )
    }

    fn window(&mut self, types: &[Type], depth: usize) -> String {
        let relation = self.relation(depth);
        let order: Vec<_> = relation
            .columns
            .clone()
            .iter()
            .map(|(name, _)| format!("{name} {}", self.direction()))
            .collect();
        let order = order.join(", ");
        let columns: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(n, of)| {
                let value = match of {
                    Type::Int => self
                        .pick(&["row_number()", "rank()", "dense_rank()", "ntile(3)", "count(*)"])
                        .to_owned(),
                    Type::Double => format!("sum({})", self.column(Type::Double, &relation)),
                    Type::Text | Type::Date => {
                        let function = self.pick(&["lag", "lead", "first_value", "max"]);
                        format!("{function}({})", self.column(*of, &relation))
                    }
                    Type::Bool => return format!("{} AS c{n}", self.column(Type::Bool, &relation)),
                };
                let key = self.pick(&TYPES);
                let partition = if self.one_in(3) {
                    String::new()
                } else {
                    format!("PARTITION BY {} ", self.column(key, &relation))
                };
                let frame = if *of == Type::Double && self.one_in(2) {
                    " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING"
                } else {
                    ""
                };
                format!("{value} OVER ({partition}ORDER BY {order}{frame}) AS c{n}")
            })
            .collect();
        format!(
            "SELECT {} FROM {}{}",
            columns.join(", "),
            relation.from,
            self.condition(&relation, depth)
        )
    }

    fn relation(&mut self, depth: usize) -> Relation {
        match self.below(if depth == 0 { 3 } else { 8 }) {
            0..3 => self.table(),
            3..7 => self.join(depth),
            _ => {
                let name = self.name();
                let types = [Type::Int, self.pick(&TYPES), Type::Double];
                let query = self.select(&types, depth - 1);
                Relation {
                    from: format!("({query}) AS {name}"),
                    columns: types
                        .iter()
                        .enumerate()
                        .map(|(n, of)| (format!("{name}.c{n}"), *of))
                        .collect(),
                }
            }
        }
    }

    fn table(&mut self) -> Relation {
        let (name, table) = (
            self.name(),
            self.pick(&[TABLES[0], TABLES[0], TABLES[1], TABLES[1], TABLES[2], TABLES[2], TABLES[3]]),
        );
        let column = |(column, of): (&str, Type)| (format!("{name}.{column}"), of);
        let columns = [
            ("id", Type::Int),
            ("k", Type::Int),
            ("v", Type::Double),
            ("s", Type::Text),
            ("d", Type::Date),
            ("b", Type::Bool),
        ];
        Relation {
            from: format!("{table} AS {name}"),
            columns: columns.map(column).into(),
        }
    }

    fn join(&mut self, depth: usize) -> Relation {
        let (left, right) = (self.relation(depth - 1), self.table());
        let kind = self.pick(&[
            "JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "CROSS JOIN",
            "JOIN",
            "LEFT JOIN",
        ]);
        let of = self.pick(&[Type::Int, Type::Int, Type::Text, Type::Date]);
        let (a, b) = (self.column(of, &left), self.column(of, &right));
        let columns: Vec<_> = left.columns.iter().chain(&right.columns).cloned().collect();
        let both = Relation {
            from: String::new(),
            columns,
        };
        let on = match (kind, self.below(8)) {
            ("CROSS JOIN", _) => String::new(),
            (_, 0) => format!(" ON {a} IS NOT DISTINCT FROM {b}"),
            ("FULL JOIN", _) => format!(" ON {a} = {b}"),
            (_, 1) => format!(" ON {a} < {b}"),
            (_, 2 | 3) => format!(" ON {a} = {b} AND {}", self.predicate(&both, 0)),
            _ => format!(" ON {a} = {b}"),
        };
        // Products are kept small.
        let right = if kind == "CROSS JOIN" || on.contains('<') {
            let name = right.from.split(' ').next_back().unwrap().to_owned();
            format!(
                "(SELECT * FROM {} AS {name} WHERE {name}.id < 9) AS {name}",
                right.from.split(' ').next().unwrap()
            )
        } else {
            right.from
        };
        Relation {
            from: format!("{} {kind} {right}{on}", left.from),
            ..both
        }
    }

    fn column(&mut self, of: Type, relation: &Relation) -> String {
        let fitting: Vec<_> = relation
            .columns
            .iter()
            .filter(|(_, column)| *column == of)
            .map(|(name, _)| name.clone())
            .collect();
        if fitting.is_empty() {
            self.literal(of)
        } else {
            self.pick(&fitting)
        }
    }

    fn literal(&mut self, of: Type) -> String {
        match of {
            Type::Int => format!("CAST({} AS BIGINT)", self.below(12)),
            Type::Double => format!("CAST({}.5 AS DOUBLE)", self.below(12)),
            Type::Text => format!("'{}'", self.pick(&["a", "b", "c", "", "ab"])),
            Type::Date => format!("DATE '2024-01-0{}'", 1 + self.below(9)),
            Type::Bool => self.pick(&["true", "false", "CAST(NULL AS BOOLEAN)"]).to_owned(),
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("t{}", self.names)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len() as u64);
        from[usize::try_from(at).unwrap()].clone()
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.numbers.next() % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}
