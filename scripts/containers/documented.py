"""Commands of the documents, run on the stack of these tests."""

import subprocess

from documents.blocks import blocks_of

from .engine import ENVIRONMENT, FRONT, ROOT, explain, running


def documented(document: str, marker: str) -> str:
    """The block of a document with this in it, as it stands there."""
    (found,) = [block for block in blocks_of(ROOT / "docs" / document) if marker in "\n".join(block.lines)]
    return "\n".join(found.lines)


def do(script: str, limit: float, **variables: str) -> None:
    """Runs commands of a document on the stack of these tests."""
    environment = ENVIRONMENT | {"COMPOSE_FILE": ":".join(running), "API": FRONT} | variables
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit
    )
    if done.returncode != 0:
        explain()
        raise AssertionError(f"ended with {done.returncode}: {script}\n{done.stdout}")
