"""A progress bar on standard error, for loops over many records."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def watched(items: Sequence[T], what: str, *, show: bool) -> Iterable[T]:
    """Returns the items, on a terminal under a bar that vanishes at the end."""
    if not show:
        return items
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal:
        return items  # rich would leave an empty line
    return track(items, what, transient=True, console=console)
