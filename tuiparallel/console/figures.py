"""Numbers as people read them: durations, counts, sizes, rates. Text of known width, right-aligned by the caller."""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """A duration in at most six cells: 3ms, 10.1s, 42s, 4m02s, 3h05m, 2d04h. None is '?'."""
    if seconds is None:
        return "?"
    if seconds <= 0:
        return "0ms"
    if seconds < 0.000_999_5:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 19.95:
        return f"{seconds:.1f}s"
    if seconds < 59.5:
        return f"{seconds:.0f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = whole // 60
    if minutes < 1440:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = minutes // 60
    return f"{hours // 24}d{hours % 24:02d}h"


def count(number: int) -> str:
    """A count with its thousands apart: 18,786."""
    return f"{number:,}"


def short_count(number: int) -> str:
    """A count in at most five cells: 9,999 then 18.8k, 1.2M."""
    if number < 10_000:
        return f"{number:,}"
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        value = number / size
        if value < 99.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return f"{number / 1e12:.1f}T"


def size(octets: int | None) -> str:
    """Bytes in at most five cells: 812B, 41M, 1.2G. None is an empty text."""
    if octets is None:
        return ""
    if octets < 1000:
        return f"{octets}B"
    value = float(octets)
    for unit in "kMGT":
        value /= 1000
        if value < 9.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return f"{value:.0f}P"


def rate(per_second: float) -> str:
    """Tasks per second: 199/s, 0.08/s."""
    if per_second >= 9.95:
        return f"{count(round(per_second))}/s"
    if per_second >= 0.995:
        return f"{per_second:.1f}/s"
    return f"{per_second:.2f}/s" if per_second > 0 else "0/s"


def percent(fraction: float | None) -> str:
    """A fraction as a whole percentage; a small positive one is never 0%. None is an empty text."""
    if fraction is None:
        return ""
    whole = round(fraction * 100)
    if whole == 0 and fraction > 0.0005:
        return "<1%"
    return f"{whole}%"


def clock(at: float, *, millis: bool = False) -> str:
    """The local time of day of seconds since the epoch: 12:01:07, or with milliseconds 12:01:07.118."""
    moment = datetime.fromtimestamp(at, UTC).astimezone()
    return moment.strftime("%H:%M:%S.%f")[:-3] if millis else moment.strftime("%H:%M:%S")


def plural(number: int, noun: str, many: str | None = None) -> str:
    """`1 task`, `1,204 tasks`."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def ranges(numbers: list[int]) -> str:
    """Ascending integers in words: 0-3,7,9-11."""
    runs: list[str] = []
    start = previous = None
    for number in [*sorted(set(numbers)), None]:
        if start is not None and previous is not None and number != previous + 1:
            runs.append(str(start) if start == previous else f"{start}-{previous}")
            start = None
        if start is None:
            start = number
        previous = number
    return ",".join(runs)


def clip(text: str, width: int, ellipsis: str = "…") -> str:
    """Text of at most `width` cells; what is cut ends in an ellipsis. For text of one-cell characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + (ellipsis if width > 0 else "")
