"""Runs the queries of TPC-H with one engine in this process: peer.py ENGINE DATA ROUNDS. Prints JSON: start, seconds and rows.

All read the same Parquet files and hand every row to Python, in memory, as people do.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

TABLES = ("region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem")
THREADS = 2


def duckdb(data: Path) -> Callable[[str], int]:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}")
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{data}/{table}.parquet')")
    return lambda sql: connection.sql(sql).to_arrow_table().num_rows


def datafusion(data: Path) -> Callable[[str], int]:
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(THREADS))
    for table in TABLES:
        context.register_parquet(table, f"{data}/{table}.parquet")
    return lambda sql: sum(batch.num_rows for batch in context.sql(sql).collect())


def pyspark(data: Path) -> Callable[[str], int]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{THREADS}]").config("spark.driver.memory", "4g")
    # Four partitions a shuffle: its own default of 200 is for clusters.
    session = builder.config("spark.sql.shuffle.partitions", "4").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    for table in TABLES:
        session.read.parquet(f"{data}/{table}.parquet").createOrReplaceTempView(table)
    return lambda sql: len(session.sql(sql).collect())


def main() -> None:
    engine, data, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    begun = time.monotonic()
    run = {"duckdb": duckdb, "datafusion": datafusion, "pyspark": pyspark}[engine](data)
    start = time.monotonic() - begun
    queries = sorted(Path(__file__).parent.glob("q*.sql"))
    seconds = {query.stem: [] for query in queries}
    rows = {}
    for _ in range(rounds):
        for query in queries:
            begun = time.monotonic()
            rows[query.stem] = run(query.read_text())
            seconds[query.stem].append(time.monotonic() - begun)
    print(json.dumps({"start": start, "seconds": seconds, "rows": rows}))


main()
