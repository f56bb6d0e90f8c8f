"""What documents say of this repository: links, paths, targets of make, settings."""

import re
import subprocess
from pathlib import Path

from .blocks import BINARIES, ROOT, slug
from .report import Report

SERVICES = ("master", "auxiliary", "worker")


def prose(path: Path) -> str:
    return re.sub(r"^\s*```.*?^\s*```", "", path.read_text(), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", prose(path), re.M):
        name = slug(heading)
        found[name if name not in found else f"{name}-{found[name]}"] = 1
        found[name] += 1
    return set(found)


def check_links(path: Path, report: Report) -> None:
    text = prose(path)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        problem = None
        if not there.exists():
            problem = f"{target}: there is no such file"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            problem = f"{target}: there is no such heading"
        report.check(f"{path.relative_to(ROOT)}: link to {target}", problem)
    tops = "bench crates deploy docs grafana load_test nginx prometheus scripts services tests".split()
    for name in re.findall(r"`((?:%s)/[\w./*-]*\w)`" % "|".join(tops), text):
        there = any(ROOT.glob(name)) or any((ROOT / name).parent.glob(Path(name).name + ".rs"))
        report.check(f"{path.relative_to(ROOT)}: `{name}`", None if there else "there is no such file in this repository")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for name in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.M):
        report.check(f"{path.relative_to(ROOT)}: make {name}", None if name in targets else "the Makefile has no such target")


def check_settings(report: Report) -> None:
    """docs/configuration.md has the settings that the services have."""
    document = (ROOT / "docs/configuration.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", document, re.M)
    documented = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}
    known = {"REPLICATION_FACTOR"}
    for service in SERVICES:
        shown = subprocess.run([BINARIES / f"elasticore-{service}", "--help"], capture_output=True, text=True, check=True).stdout
        names = set(re.findall(r"^  ([A-Z][A-Z0-9_]+) ", shown, re.M))
        missing = sorted(name for name in names if f"`{name}`" not in document)
        report.check(f"docs/configuration.md: settings of the {service}", f"nothing is said of {', '.join(missing)}" if missing else None)
        known |= names
    gone = sorted(name for name in documented - known)
    report.check("docs/configuration.md: no other settings", f"no service has {', '.join(gone)}" if gone else None)
