"""What was found."""

import itertools
import re
from dataclasses import dataclass, field


@dataclass
class Report:
    """What was found; printed at once, counted at the end."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, what: str, problem: str | None) -> None:
        if problem is None:
            self.passed += 1
        else:
            self.failures.append(what)
            # Of a line that repeats itself, as those of polling, one is enough.
            lines = [line for line, _ in itertools.groupby(re.sub(r"after \d+ ms", "", problem).strip().splitlines())]
            print("\n    ".join([f"FAILED {what}", *lines]), flush=True)
