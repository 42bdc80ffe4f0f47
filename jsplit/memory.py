"""Memory: how much is free, and a refusal before more than that is taken.

Here: `require`. Not here: what a run or a network needs (`evaluation.room`,
`training.job`).
"""

import contextlib
import os
import pathlib

from jsplit.types import JsplitError

_CGROUP = pathlib.Path("/sys/fs/cgroup")


def require(what: str, num_bytes: float, advice: str) -> None:
    """Raises if so much memory is not free, as far as the system tells.

    Args:
        what: what needs it, with the numbers that cause it.
        num_bytes: how much, >= 0.
        advice: what helps.

    Raises:
        JsplitError: if it is more than what is free.

    Example:
        >>> require("3 replicas", 1e3, "fewer replicas")
    """
    there = free()
    if there is not None and num_bytes > there:
        raise JsplitError(
            f"{what} would take about {_shown(num_bytes)} of memory, and "
            f"{_shown(there)} are free: {advice}"
        )


def free() -> int | None:
    """Returns the bytes that this process can still take; None if unknown."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        limit, used = (
            int((_CGROUP / f"memory.{x}").read_text()) for x in ("max", "current")
        )
        found.append(max(0, limit - used))
    if not found and hasattr(os, "sysconf"):
        with contextlib.suppress(OSError, ValueError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _shown(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.1f} GB"
