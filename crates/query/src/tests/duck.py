"""DuckDB for the tests: a query in JSON on each line of the input, its answer in JSON on a line of the output."""

import json
import sys
from datetime import date, datetime
from decimal import Decimal

import duckdb


def text(value):
    """A value as the other side writes it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join("" if item is None else text(item) for item in value) + "]"
    return str(value)


def answer(connection, sql):
    try:
        rows = connection.execute(sql).fetchall()
    except duckdb.Error as error:
        return {"error": str(error)}
    return {"rows": [[text(value) for value in row] for row in rows]}


def main():
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    for line in sys.stdin:
        print(json.dumps(answer(connection, json.loads(line))), flush=True)


main()
