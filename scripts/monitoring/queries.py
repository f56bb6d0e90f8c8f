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


@dataclass(frozen=True)
class Choice:
    """What somebody picks on a dashboard. The last one picked must then be the only value of a label."""

    board: str
    picked: dict[str, str]
    label: str = "instance"

    @property
    def value(self) -> str:
        return list(self.picked.values())[-1]

    def queries(self, window: str = "1m") -> list[Query]:
        """Those that ask for what is picked last."""
        board, variable = boards()[self.board], list(self.picked)[-1]
        return [
            Query(self.board, panel["title"], target["legendFormat"], asked(board, target["expr"], window, self.picked), panel["fieldConfig"]["defaults"]["unit"])
            for panel in board["panels"]
            for target in panel.get("targets", [])
            if re.search(rf"\${variable}\b", target["expr"])
        ]


# Of every variable of every dashboard one value.
CHOICES = (
    Choice("cache", {"namespace": "known"}, label="namespace"),
    Choice("cache", {"auxiliary": "auxiliary-1"}),
    Choice("control", {"master": "master-1"}),
    Choice("jobs", {"worker": "worker-1"}),
    Choice("nodes", {"role": "auxiliary", "node": "auxiliary-1"}),
)


def never_chosen() -> set[str]:
    """Variables of dashboards that are in no choice."""
    variables = {f"{name}: {variable['name']}" for name, board in boards().items() for variable in board["templating"].get("list", [])}
    return variables - {f"{choice.board}: {variable}" for choice in CHOICES for variable in choice.picked}


def annotations() -> dict[str, str]:
    """Queries of annotations by name; all boards have the same."""
    return {a["name"]: a["expr"] for board in boards().values() for a in board["annotations"]["list"]}
