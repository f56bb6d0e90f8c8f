"""Running the blocks of a document, inside of its namespaces."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from .blocks import BINARIES, ROOT, Block, blocks_of, tracked

STREAM_LIMIT, ANSWER_LIMIT, START_LIMIT = 3, 50, 60
# What `curl` is in a block: answers are kept beside being printed, under the number of the call.
CURL = 'curl() { command curl -sS -m "${LIMIT:-50}" -D "$ANSWERS/${EXAMPLE:-other}.head" "$@" | tee "$ANSWERS/${EXAMPLE:-other}.body"; }'


class Shell:
    """Runs blocks one after another; variables and the directory carry over, what they leave in the background goes on."""

    def __init__(self, directory: Path):
        self.kept = directory / "kept"
        self.log = directory / "background.log"
        self.kept.write_text(f"cd {directory / 'checkout'}\n")
        self.environment = {
            "PATH": f"{BINARIES}:{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": os.environ.get("HOME", "/"), "NO_PROXY": "*", "LANG": "C.UTF-8",
            "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "160", "API": "http://localhost:8081", "TMPDIR": str(directory), "SHELL": "/bin/bash",
        }  # fmt: skip

    def run(self, script: str, limit: int, answers: Path) -> tuple[int, str]:
        """The status and what a terminal shows."""
        keep = f"trap '{{ export -p; declare -f; printf \"cd %q\\n\" \"$PWD\"; }} > {self.kept}' EXIT"
        text = f". {self.kept}\nANSWERS={answers}\n{CURL}\nset -a\n{keep}\nset -eo pipefail\n{script}\n"
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", text], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=self.environment, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        shown, deadline = b"", time.monotonic() + limit
        while (ended := process.poll()) is None and time.monotonic() < deadline:
            shown += available(ours)
            time.sleep(0.02)
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shown += f"\nnot done within {limit} s".encode()
        shown += available(ours)
        # What is left in the background may go on writing: somebody has to read it.
        if ended is not None and os.fork() == 0:
            drain(ours)
        os.close(ours)
        text = shown.decode(errors="replace").replace("\r\n", "\n")
        return (124 if ended is None else ended), re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def available(descriptor: int) -> bytes:
    read = b""
    while True:
        try:
            piece = os.read(descriptor, 1 << 16)
        except OSError:
            return read
        if not piece:
            return read
        read += piece


def drain(descriptor: int) -> None:
    os.set_blocking(descriptor, True)
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:
        pass
    os._exit(0)


def numbered(lines: list[str]) -> tuple[str, list[tuple[str, str | None]]]:
    """The script with its calls of curl numbered, and of each its line and what is stated of it."""
    script, examples = [], []
    for line in lines:
        if re.search(r"(^|[\s(;&|])curl ", line) and not line.lstrip().startswith("#"):
            stream = "curl -N" in line
            call = line.replace("curl ", f"EXAMPLE={len(examples)} LIMIT={STREAM_LIMIT if stream else ANSWER_LIMIT} curl ", 1)
            if stream:
                command, _, comment = call.partition("   # ")
                call = f"{command} || true   # {comment}"
            examples.append((line, None))
            script.append(call)
        else:
            script.append(line)
        stated = re.search(r"# (\d\d\d(?:[,:].*)?)$", line)
        if stated and examples and examples[-1][1] is None:
            examples[-1] = (examples[-1][0], stated[1])
    return "\n".join(script), examples


def refute(line: str, stated: str | None, head: str, body: str) -> str | None:
    """Why an answer is not what is stated, or not what it must be when nothing is."""
    statuses = re.findall(r"^HTTP/\S+ (\d+)", head, re.M)
    status = statuses[-1] if statuses else "no answer"
    if stated is None:
        polled = re.search(r"\b(until|while|if)\b|\|\|", line)
        return None if polled or status[0] in "123" else f"{line}\nanswered {status}: {body[:400]}"
    wanted, _, rest = stated.partition(", ")
    if status != wanted[:3]:
        return f"{line}\nanswered {status}: {body[:400]}"
    if rest.startswith("{"):
        try:
            found = json.loads(body.rsplit("\r\n\r\n", 1)[-1])
        except ValueError:
            return f"{line}\nno JSON: {body[:400]}"
        return None if has(found, json.loads(rest)) else f"{line}\nno {rest} in {body[:400]}"
    headers = [h.strip().lower() for h in head.splitlines()]
    missing = [part for part in rest.split(", ") if rest and part.lower() not in headers and part not in body]
    return f"{line}\nno {missing} in {head}{body[:400]}" if missing else None


def has(found, wanted) -> bool:
    """Whether all members of `wanted` are in `found`, at any depth; lists are as long."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(name in found and has(found[name], value) for name, value in wanted.items())
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(has, found, wanted))
    return found == wanted


def run_sh(shell: Shell, block: Block, answers: Path) -> str | None:
    script, examples = numbered(block.lines)
    status, shown = shell.run(script, block.limit, answers)
    problems = [f"ended with {status}:\n{shown[-1500:]}"] if status != 0 else []
    if not problems:
        for at, (line, stated) in enumerate(examples):
            head, body = ((answers / f"{at}.{what}") for what in ("head", "body"))
            # Bytes, for the ends of lines of a head are part of it.
            problem = refute(line, stated, *(kept.read_bytes().decode(errors="replace") if kept.exists() else "" for kept in (head, body)))
            problems += [problem] if problem else []
    return "\n".join(problems) or None


def run_console(shell: Shell, block: Block, answers: Path) -> str | None:
    """Each command with the lines shown below it."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.lines:
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands and commands[-1][0].endswith("\\") and not commands[-1][1]:
            commands[-1] = (commands[-1][0] + "\n" + line, [])
        elif commands:
            commands[-1][1].append(line)
    problems = []
    for command, expected in commands:
        status, shown = shell.run(command, block.limit, answers)
        if expected and not re.fullmatch(pattern(expected), squeezed(shown)):
            problems.append(f"$ {command}\nshows:\n{shown}instead of:\n" + "\n".join(expected))
        elif not expected and status != 0:
            problems.append(f"$ {command}\nended with {status}:\n{shown}")
    return "\n".join(problems) or None


def squeezed(text: str) -> str:
    """Lines without what differs from table to table: blanks, lengths of rules; and without empty ones."""
    lines = (re.sub(r"[ \t]+", " ", re.sub("[─═]+", "─", line)).strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def pattern(expected: list[str]) -> str:
    lines = squeezed("\n".join(expected)).splitlines()
    return "".join(r"(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in lines)


def start_stack(shell: Shell, name: str, answers: Path) -> str | None:
    if name == "none":
        return None
    if name == "up":
        status, shown = shell.run("elasticore up > up.log 2>&1 &", 10, answers)
        deadline = time.monotonic() + START_LIMIT
        log = answers.parent / "checkout" / "up.log"
        while status == 0 and time.monotonic() < deadline:
            if log.exists() and "Ctrl-C stops it" in log.read_text():
                settled = "until curl \"$API/nodes\" | grep -q '\"phase\":\"stable\"'; do sleep 0.1; done"
                status, shown = shell.run(settled, START_LIMIT, answers)
                return None if status == 0 else f"the ring does not become stable: {shown[-500:]}"
            time.sleep(0.1)
        return "the stack did not start: " + (log.read_text() if log.exists() else shown)
    document, _, section = name.partition("#")
    wanted = [b for b in blocks_of(ROOT / "docs" / document) if b.section == section and not b.not_run]
    if not wanted:
        return f"there are no blocks in {name}"
    if problem := start_stack(shell, wanted[0].stack, answers):
        return problem
    for block in wanted:
        problem = (run_sh if block.language == "sh" else run_console)(shell, block, answers)
        if problem:
            return f"{block.name()}: {problem}"
    return None


def run_document(path: Path, run: int) -> None:
    """Runs the blocks of a document that are below one comment about a stack, and prints a line of JSON for each."""
    blocks = [block for block in blocks_of(path) if block.run == run and not block.not_run]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="elasticore-docs-", ignore_cleanup_errors=True) as temporary:
        directory = Path(temporary)
        for file in tracked():
            copy = directory / "checkout" / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
        (directory / "checkout" / "target").symlink_to(BINARIES.parent)
        shell, answers = Shell(directory), directory / "answers"
        answers.mkdir()
        broken = start_stack(shell, blocks[0].stack, answers)
        for block in blocks:
            begun = time.monotonic()
            shutil.rmtree(answers)
            answers.mkdir()
            problem = broken or (run_sh if block.language == "sh" else run_console)(shell, block, answers)
            if problem and "not done within" in problem:
                broken = f"an earlier block, {block.name()}, did not end"
            print(json.dumps([block.name(), problem, round(time.monotonic() - begun, 1)]), flush=True)
        # All that was started would end with the namespace, but its files are to be let go of before they are removed.
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) not in (1, os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process.name), signal.SIGKILL)
