"""The queries of dashboards, as Grafana would ask them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Query:
    """A query of a panel. Boards are named without their prefix: `cache` is elasticore-cache."""

    board: str
    panel: str
    legend: str
    expr: str
    unit: str

    @property
    def place(self) -> str:
        return f"{self.board} / {self.panel} / {self.legend}"


def boards() -> dict[str, dict]:
    files = sorted((ROOT / "grafana/dashboards").glob("*.json"))
    return {path.stem.removeprefix("elasticore-"): json.loads(path.read_text()) for path in files}


def asked(board: dict, expr: str, window: str, chosen: dict[str, str] | None = None) -> str:
    """A query with `$__rate_interval` as this window, and variables as they are chosen: at All unless told."""
    expr = expr.replace("$__rate_interval", window)
    for variable in board["templating"].get("list", []):
        expr = re.sub(rf"\${variable['name']}\b", (chosen or {}).get(variable["name"], variable["allValue"]), expr)
    if "$" in expr:
        raise ValueError(f"{board['uid']}: no such variable in {expr}")
    return expr


def panels(window: str = "1m") -> list[Query]:
    """Every query of every panel."""
    return [
        Query(name, panel["title"], target["legendFormat"], asked(board, target["expr"], window), panel["fieldConfig"]["defaults"]["unit"])
        for name, board in boards().items()
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


# What somebody picks on each dashboard that has a choice: one node.
CHOSEN = {
    "cache": {"auxiliary": "auxiliary-1"},
    "control": {"master": "master-1"},
    "jobs": {"worker": "worker-1"},
    "nodes": {"role": "auxiliary", "node": "auxiliary-1"},
}


def of_one_node(window: str = "1m") -> dict[str, list[Query]]:
    """By the name of a node, every query of a dashboard on which it is chosen that asks for what is chosen."""
    found = {}
    for name, board in boards().items():
        variables = [variable["name"] for variable in board["templating"].get("list", [])]
        if not variables:
            continue
        chosen = CHOSEN[name]
        found[f"{name}: {chosen[variables[-1]]}"] = [
            Query(name, panel["title"], target["legendFormat"], asked(board, target["expr"], window, chosen), panel["fieldConfig"]["defaults"]["unit"])
            for panel in board["panels"]
            for target in panel.get("targets", [])
            if f"${variables[-1]}" in target["expr"]
        ]
    return found


def annotations() -> dict[str, str]:
    """Queries of annotations by name; all boards have the same."""
    return {a["name"]: a["expr"] for board in boards().values() for a in board["annotations"]["list"]}
