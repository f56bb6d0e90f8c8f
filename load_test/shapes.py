"""How many users there are at which time of a test."""

NAMES = ("steady", "ramp", "spike", "soak")


def users_at(shape: str, elapsed: float, users: int, duration: float) -> int | None:
    """Users at a time; None when the test is over.

    steady, soak: all of them from the first moment. ramp: ten steps of equal length, up to all. spike: a fifth, then all for a fifth
    of the time, then a fifth again: does it recover?
    """
    if elapsed >= duration:
        return None
    share = elapsed / duration
    if shape in ("steady", "soak"):
        return users
    if shape == "ramp":
        return max(1, users * (int(share * 10) + 1) // 10)
    if shape == "spike":
        return users if 0.4 <= share < 0.6 else max(1, users // 5)
    raise ValueError(f"no shape {shape}: one of {', '.join(NAMES)}")


def seconds(text: str) -> float:
    """A time as Locust has it: 90, 30s, 5m, 1h30m."""
    units = {"h": 3600, "m": 60, "s": 1}
    total, digits = 0.0, ""
    for letter in text:
        if letter.isdigit() or letter == ".":
            digits += letter
        elif letter in units and digits:
            total, digits = total + float(digits) * units[letter], ""
        else:
            raise ValueError(f"{text} is no time: 30s, 5m, 1h30m")
    total += float(digits or 0)
    if total <= 0:
        raise ValueError(f"{text} is no time: 30s, 5m, 1h30m")
    return total
