"""Results as tables: for the terminal (rich) and for a paper (Markdown).

Here: drawing, whatever the kind. Not here: which numbers stand where (`comparison`,
`conditions`, `exact`, `recovery`), decimals (`cells`), files for other programs
(`frames`), any statistics (`stats`).

Terminal and Markdown show the same cells, made once by `layout`.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jsplit.report import comparison, conditions, exact, recovery
from jsplit.report.cells import DAGGER, Cell, Row
from jsplit.results.labelled import Labelled, expect
from jsplit.results.tables import ConditionSummary, ExactValues, Recovery, Summary

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

LAYOUTS: dict[type[Labelled], Any] = {
    Summary: comparison,
    ConditionSummary: conditions,
    ExactValues: exact,
    Recovery: recovery,
}
NAMES = ("policy", "condition")  # columns of names, not numbers
Shown = Summary | ConditionSummary | ExactValues | Recovery


def render(table: Shown) -> "Fitting":
    """Draws a summary for the terminal, as wide as that is.

    Intervals that have no room in one line take two. Where not even the numbers have
    room, the columns of `SPARED` are left out, and the caption names them.

    Args:
        table: a `Summary`, `ConditionSummary`, `ExactValues` or `Recovery`.

    Returns:
        What `rich.print` shows as a table; intervals stand below their numbers.
    """
    _of(table)
    return Fitting(table)


@dataclasses.dataclass(frozen=True)
class Fitting:
    """A summary that is drawn when the width of the terminal is known."""

    table: Shown

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> Iterator["Table"]:
        """Yields the table with the columns that have room."""
        del console
        yield _draw(self.table, options.max_width)


def _draw(table: Shown, room: int) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = layout(table)
    names = [Cell(_name(row)) for row in rows]
    cells = zip(names, *zip(*(row.cells for row in rows), strict=True), strict=True)
    columns = dict(zip(headers(table), zip(*cells, strict=True), strict=True))
    spared = [title for title in comparison.SPARED if title in columns]
    left_out = []
    while (widths := _widths(columns, room)) is None and spared:
        left_out.append(spared.pop(0))
        del columns[left_out[-1]]
    text = caption(table)
    if left_out:
        text = f"{text} For want of width without: {', '.join(left_out)}"
    drawn = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        caption=Text(text, style="dim"),
        caption_justify="left",
    )
    for number, title in enumerate(columns):
        drawn.add_column(
            "\n".join(title.split()),
            justify="left" if title in NAMES else "right",
            width=None if widths is None else widths[number],
        )
    for row, line in zip(rows, zip(*columns.values(), strict=True), strict=True):
        name = Text(line[0].value, style="bold" if row.is_baseline else "")
        texts = [Text.assemble(c.value, ("\n" + c.interval, "dim")) for c in line[1:]]
        drawn.add_row(name, *texts)
    return drawn


def _widths(columns: Mapping[str, Sequence[Cell]], room: int) -> list[int] | None:
    """Returns the widths of columns, intervals whole from the left as long as they fit.

    None if not even the numbers fit. rich alone would shrink the widest column first,
    through its numbers.
    """
    broken, whole = [], []
    for title, cells in columns.items():
        numbers = [*title.split(), *(cell.value for cell in cells)]
        intervals = [cell.interval for cell in cells]
        halves = [half for interval in intervals for half in interval.split()]
        broken.append(max(map(len, [*numbers, *halves])))
        whole.append(max(map(len, [*numbers, *intervals])))
    spare = room - sum(broken) - (len(broken) - 1)
    if spare < 0:
        return None
    widths = broken
    for number, (least, most) in enumerate(zip(broken, whole, strict=True)):
        if most - least <= spare:
            widths[number] = most
            spare -= most - least
    return widths


def to_markdown(table: Shown) -> str:
    """Writes a summary as a Markdown table with its caption underneath.

    Args:
        table: a `Summary`, `ConditionSummary`, `ExactValues` or `Recovery`.

    Returns:
        Text that ends with a newline: the table, an empty line, the caption.
    """
    titles = headers(table)
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    for row in layout(table):
        # Names hold underscores, which Markdown may read as emphasis.
        name = _name(row).replace("_", r"\_").replace("|", r"\|")
        name = f"**{name}**" if row.is_baseline else name
        lines.append([name, *(" ".join(filter(None, cell)) for cell in row.cells)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{body}\n\n{caption(table)}\n"


def headers(table: Shown) -> list[str]:
    """Returns the titles of the columns."""
    titles = _of(table).HEADERS.values()
    more = comparison.bill_headers(table) if isinstance(table, Summary) else []
    return [*titles, *more]


def layout(table: Shown) -> list[Row]:
    """Returns the text of every cell, in the order of `headers` without the name."""
    return _of(table).layout(table)


def caption(table: Shown) -> str:
    """Says what the numbers mean and what the intervals cover, in full sentences."""
    return _of(table).caption(table)


def _of(table: Any) -> Any:
    """Returns the module that knows a kind of table, or raises for other kinds."""
    return LAYOUTS[type(expect("table", table, *LAYOUTS))]


def _name(row: Row) -> str:
    """Returns the policy as shown, privileged ones with a dagger."""
    return row.policy + DAGGER * row.is_privileged
