"""Writes the dashboards, or with --check compares them with those that are committed."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from . import cache, control, jobs, nodes, overview
from .panels import ANNOTATIONS, Board

BOARDS = (overview.BOARD, cache.BOARD, control.BOARD, jobs.BOARD, nodes.BOARD)
DIRECTORY = Path(__file__).resolve().parent.parent / "dashboards"
# What Grafana's Prometheus plugin understands in an annotation and Grafana's own types do not name.
PROMETHEUS_OWN = ("titleFormat", "textFormat", "step")


def plain(board) -> dict:
    return json.loads(json.dumps(board, cls=JSONEncoder))


def written(board: Board) -> str:
    """The file of a dashboard."""
    figures = plain(board.build())
    for annotation, source in zip(figures["annotations"]["list"], ANNOTATIONS, strict=True):
        annotation |= {"titleFormat": source.name, "textFormat": source.says, "step": "5s"}
    return json.dumps(figures, indent=1, ensure_ascii=False) + "\n"


def unknown_to_grafana(text: str) -> bool:
    """Whether something in the file has no place in Grafana's types, which leave out what they do not know when they read."""
    figures = json.loads(text)
    for annotation in figures["annotations"]["list"]:
        for name in PROMETHEUS_OWN:
            annotation.pop(name, None)
    return plain(Dashboard.from_json(figures)) != figures


def main() -> int:
    register_default_plugins()
    check = sys.argv[1:] == ["--check"]
    files = {DIRECTORY / f"{board.uid}.json": written(board) for board in BOARDS}
    problems = [f"{path.name}: Grafana does not know all that is in it" for path, text in files.items() if unknown_to_grafana(text)]
    if check:
        problems += [f"{path.name}: no board of grafana/source" for path in DIRECTORY.glob("*.json") if path not in files]
        for path, text in files.items():
            if not path.exists() or path.read_text() != text:
                problems.append(f"{path.name}: differs from grafana/source; run grafana/generate")
    else:
        for path, text in files.items():
            path.write_text(text)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(files)} dashboards, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
