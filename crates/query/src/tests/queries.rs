//! One query of each shape.

/// Name, query, and whether its order is part of the answer.
pub(super) const QUERIES: &[(&str, &str, bool)] = &[
    (
        "group by",
        "SELECT note, count(*) n, sum(price) p, avg(weight) w, min(day) d FROM orders GROUP BY note",
        false,
    ),
    (
        "group by with null keys",
        "SELECT customer, count(*) n FROM orders GROUP BY customer HAVING count(*) > 3",
        false,
    ),
    (
        "aggregate without groups",
        "SELECT count(*), count(customer), sum(weight), max(price) FROM orders",
        false,
    ),
    (
        "join of two formats",
        "SELECT c.segment, count(*) n, sum(o.price) p FROM orders o JOIN customers c ON o.customer = c.id GROUP BY c.segment",
        false,
    ),
    (
        "join of three",
        "SELECT c.segment, e.kind, count(*) n FROM events e JOIN orders o ON e.orders_id = o.id JOIN customers c ON o.customer = c.id \
         GROUP BY c.segment, e.kind",
        false,
    ),
    (
        "left join",
        "SELECT c.id, o.id oid FROM customers c LEFT JOIN orders o ON c.id = o.customer AND o.weight > 100",
        false,
    ),
    (
        "right join",
        "SELECT c.id, o.id oid FROM customers c RIGHT JOIN orders o ON c.id = o.customer WHERE o.id < 500",
        false,
    ),
    (
        "full join",
        "SELECT c.id, o.id oid FROM customers c FULL JOIN orders o ON c.id = o.customer AND c.segment = 'trade'",
        false,
    ),
    (
        "semi join",
        "SELECT count(*) FROM orders WHERE customer IN (SELECT id FROM customers WHERE balance < 0)",
        false,
    ),
    (
        "not in with nulls on the right",
        "SELECT count(*) FROM customers WHERE id NOT IN (SELECT customer FROM orders)",
        false,
    ),
    (
        "not in without nulls on the right",
        "SELECT id FROM customers WHERE id NOT IN (SELECT customer FROM orders WHERE customer IS NOT NULL)",
        false,
    ),
    (
        "not in with nulls on the left",
        "SELECT id FROM orders WHERE customer NOT IN (SELECT id FROM customers WHERE balance < 7000)",
        false,
    ),
    (
        "not in nothing",
        "SELECT count(*) FROM orders WHERE customer NOT IN (SELECT id FROM customers WHERE id < 0)",
        false,
    ),
    (
        "not exists",
        "SELECT id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)",
        false,
    ),
    (
        "order by and limit",
        "SELECT id, price, day FROM orders ORDER BY price DESC NULLS LAST, id LIMIT 25",
        true,
    ),
    (
        "order by and offset",
        "SELECT id FROM orders ORDER BY day, id LIMIT 20 OFFSET 3000",
        true,
    ),
    (
        "order by everything",
        "SELECT id, note FROM orders WHERE id % 3 = 0 ORDER BY note, weight, id",
        true,
    ),
    (
        "union all",
        "SELECT id FROM orders WHERE id < 100 UNION ALL SELECT id FROM customers WHERE id < 100",
        false,
    ),
    (
        "union",
        "SELECT customer FROM orders UNION SELECT id FROM customers UNION SELECT orders_id FROM events",
        false,
    ),
    (
        "intersect and except",
        "(SELECT customer FROM orders INTERSECT SELECT id FROM customers) EXCEPT SELECT orders_id FROM events",
        false,
    ),
    (
        "window",
        "SELECT id, row_number() OVER (PARTITION BY customer ORDER BY id) r, sum(weight) OVER (PARTITION BY customer ORDER BY id) s FROM orders",
        false,
    ),
    (
        "window over everything",
        "SELECT id, rank() OVER (ORDER BY day, id) r FROM orders WHERE note = 'urgent'",
        false,
    ),
    (
        "scalar subquery",
        "SELECT count(*) FROM orders WHERE weight > (SELECT avg(weight) FROM orders)",
        false,
    ),
    (
        "scalar subquery of no rows",
        "SELECT id, (SELECT max(id) FROM customers WHERE id < 0) m FROM orders WHERE id < 5",
        false,
    ),
    (
        "correlated subquery",
        "SELECT id FROM orders o WHERE weight = (SELECT max(weight) FROM orders i WHERE i.customer = o.customer)",
        false,
    ),
    (
        "count distinct",
        "SELECT note, count(DISTINCT customer) c, count(DISTINCT day) d FROM orders GROUP BY note",
        false,
    ),
    ("distinct", "SELECT DISTINCT note, day FROM orders", false),
    (
        "nested loop join that emits its collected side",
        "SELECT c.id, count(o.id) n FROM customers c LEFT JOIN orders o ON o.customer < c.id AND o.id < 40 WHERE c.id < 200 GROUP BY c.id",
        false,
    ),
    (
        "nested loop full join",
        "SELECT a.id, b.id bid FROM (SELECT id FROM customers WHERE id < 60) a FULL JOIN (SELECT id FROM orders WHERE id < 90) b \
         ON a.id * 2 > b.id + 100",
        false,
    ),
    (
        "cross join",
        "SELECT count(*) n, sum(a.id) s FROM (SELECT id FROM customers WHERE id < 50) a, (SELECT id FROM orders WHERE id < 70) b",
        false,
    ),
    (
        "grouping sets",
        "SELECT note, day, count(*) n FROM orders GROUP BY ROLLUP (note, day)",
        false,
    ),
    (
        "cte used twice",
        "WITH t AS (SELECT customer c, count(*) n FROM orders GROUP BY customer) SELECT a.c, b.n FROM t a JOIN t b ON a.n = b.n WHERE a.c < 30",
        false,
    ),
    (
        "recursive cte",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 50) SELECT sum(n) s, count(*) c FROM t",
        false,
    ),
    (
        "nested data",
        "SELECT kind, count(*) n FROM (SELECT kind, unnest(tags) tag FROM events) WHERE tag = 'b' GROUP BY kind",
        false,
    ),
    (
        "mark join",
        "SELECT id FROM orders WHERE id < 300 AND (customer IN (SELECT id FROM customers WHERE balance > 5000) OR weight < 10)",
        false,
    ),
    (
        "case and text",
        "SELECT upper(substr(name, 1, 10)) n, CASE WHEN balance < 0 THEN 'debt' ELSE 'ok' END s FROM customers WHERE name LIKE '%99%'",
        false,
    ),
    (
        "dates",
        "SELECT date_trunc('month', day) m, count(*) n FROM orders WHERE day >= DATE '1995-01-01' GROUP BY 1 ORDER BY 1",
        true,
    ),
    (
        "values",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) t(n, s) ORDER BY n",
        true,
    ),
    (
        "no rows",
        "SELECT note, count(*) n FROM orders WHERE id < 0 GROUP BY note",
        false,
    ),
    (
        "null-safe join",
        "SELECT count(*) n FROM orders a JOIN orders b ON a.customer IS NOT DISTINCT FROM b.customer WHERE a.id < 50 AND b.id < 3000",
        false,
    ),
    (
        "ordered aggregate",
        "SELECT note, array_agg(id ORDER BY id) ids FROM orders WHERE id < 200 GROUP BY note",
        false,
    ),
    (
        "limit below a join",
        "SELECT c.name FROM (SELECT id FROM orders ORDER BY weight, id LIMIT 9) o JOIN customers c ON c.id = o.id",
        false,
    ),
    (
        "having and subquery",
        "SELECT customer, sum(weight) s FROM orders GROUP BY customer HAVING sum(weight) > (SELECT avg(weight) * 12 FROM orders)",
        false,
    ),
    (
        "approximate distinct",
        "SELECT note, approx_distinct(customer) n FROM orders GROUP BY note",
        false,
    ),
    (
        "filtered aggregates",
        "SELECT note, count(*) FILTER (WHERE price > 500) n, sum(weight) FILTER (WHERE customer IS NULL) s FROM orders GROUP BY note",
        false,
    ),
    (
        "cube with grouping",
        "SELECT note, day, grouping(note) g, grouping(day) h, count(*) n FROM orders WHERE id < 900 GROUP BY CUBE (note, day)",
        false,
    ),
    (
        "lateral",
        "SELECT c.id, x.m FROM customers c, LATERAL (SELECT max(weight) m FROM orders o WHERE o.customer = c.id) x WHERE c.id < 90",
        false,
    ),
    (
        "moments",
        "SELECT note, stddev(weight) s, var_pop(weight) v, corr(weight, id) c, median(weight) m FROM orders GROUP BY note",
        false,
    ),
    (
        "distinct on",
        "SELECT DISTINCT ON (note, day) note, day, id FROM orders ORDER BY note, day, id DESC",
        true,
    ),
    (
        "window functions and frames",
        "SELECT id, lag(weight) OVER w l, first_value(id) OVER w f, ntile(4) OVER w t, \
         avg(weight) OVER (PARTITION BY note ORDER BY id ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING) a \
         FROM orders WINDOW w AS (PARTITION BY note ORDER BY day, id)",
        false,
    ),
    (
        "qualify",
        "SELECT customer, id FROM orders QUALIFY row_number() OVER (PARTITION BY customer ORDER BY weight DESC, id) <= 2",
        false,
    ),
    (
        "top of each group through a subquery",
        "SELECT * FROM (SELECT note, id, rank() OVER (PARTITION BY note ORDER BY price DESC NULLS LAST, id) r FROM orders) WHERE r < 4",
        false,
    ),
    (
        "distinct aggregates of several columns",
        "SELECT count(DISTINCT note) a, count(DISTINCT customer) b, sum(DISTINCT weight) c FROM orders",
        false,
    ),
    (
        "scalar subqueries in every place",
        "SELECT note, count(*) + (SELECT count(*) FROM customers) n FROM orders WHERE weight > (SELECT avg(weight) FROM orders) \
         GROUP BY note HAVING count(*) > (SELECT min(id) FROM customers) ORDER BY (SELECT max(id) FROM events) + count(*), note",
        true,
    ),
    (
        "a scalar subquery within another",
        "SELECT id FROM orders WHERE customer = (SELECT max(id) FROM customers WHERE balance < (SELECT avg(balance) FROM customers))",
        false,
    ),
    (
        "a scalar subquery in a join",
        "SELECT count(*) n FROM orders o JOIN customers c ON o.customer + (SELECT min(id) FROM customers) = c.id AND o.weight > (SELECT avg(weight) FROM orders)",
        false,
    ),
    (
        "exists beside a condition",
        "SELECT id FROM customers c WHERE id < 300 AND (balance > 7000 OR EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id AND o.weight > 100))",
        false,
    ),
    (
        "union of aggregates joined",
        "WITH u AS (SELECT customer c, sum(weight) w FROM orders GROUP BY customer UNION ALL SELECT id, balance FROM customers) \
         SELECT a.c, sum(a.w) s, count(b.id) n FROM u a LEFT JOIN customers b ON a.c = b.id GROUP BY a.c",
        false,
    ),
    (
        "ordered text",
        "SELECT note, string_agg(CAST(id AS VARCHAR), ',' ORDER BY id DESC) ids FROM orders WHERE id < 150 GROUP BY note",
        false,
    ),
];
