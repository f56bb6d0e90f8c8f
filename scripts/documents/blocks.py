"""Reading documents: their blocks of commands, with what the comments above them say."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "elasticore"
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target")) / "debug"
BLOCK_LIMIT = 60


@dataclass
class Block:
    """A fenced block of commands, with what the comment above it says."""

    document: str
    line: int
    language: str
    lines: list[str]
    section: str
    stack: str
    # Which comment about a stack it is below: each begins a new run.
    run: int
    not_run: str | None = None
    limit: int = BLOCK_LIMIT

    def name(self) -> str:
        return f"{self.document}:{self.line}"


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        check=True, capture_output=True, text=True,
    ).stdout
    return [ROOT / name for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file()]


def slug(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text))


def blocks_of(path: Path) -> list[Block]:
    blocks: list[Block] = []
    section, stack, run, notes = "", "none", 0, []
    lines = iter(enumerate(path.read_text().splitlines(), 1))
    for number, line in lines:
        if heading := re.match(r"#+ (.*)", line):
            section = slug(heading[1])
        if comment := re.fullmatch(r"\s*<!-- (.*) -->", line):
            notes.append(comment[1])
            if comment[1].startswith("stack: "):
                stack, run = comment[1].removeprefix("stack: "), run + 1
        elif fence := re.fullmatch(r"(\s*)```(\S*)", line):
            inside = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                inside.append(inner.removeprefix(fence[1]))
            if fence[2] in ("sh", "console"):
                block = Block(str(path.relative_to(ROOT)), number + 1, fence[2], inside, section, stack, run)
                for note in notes:
                    if note.startswith("not run: "):
                        block.not_run = note.removeprefix("not run: ")
                    elif within := re.fullmatch(r"within: (\d+) s", note):
                        block.limit = int(within[1])
                blocks.append(block)
            notes = []
        elif line.strip():
            notes = []
    return blocks
