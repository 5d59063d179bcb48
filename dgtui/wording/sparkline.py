"""A series of figures as a line of small bars."""

from collections.abc import Sequence

from dgtui.wording.terminal import Look

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.,-~=*#"


def sparkline(values: Sequence[float | None], look: Look) -> str:
    """One character for each value, blank where there is none; empty where there is nothing to show at all.

    The lowest value stands at the bottom. A spread that is small beside the values themselves looks small.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    bars = look.glyph(_BARS, _ASCII_BARS)
    low = min(known)
    scale = max(max(known) - low, low) or 1.0
    return "".join(" " if value is None else bars[round((value - low) / scale * (len(bars) - 1))] for value in values)
