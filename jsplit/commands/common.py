"""What subcommands share: options, JSON, whether to show progress."""

import json
import math
import sys
from typing import Annotated, Any

import tyro

Seed = Annotated[int, tyro.conf.arg(help="Seed of everything random, >= 0.")]
AsJson = Annotated[
    bool, tyro.conf.arg(name="json", help="Print JSON on standard output instead.")
]


def rows_of(table: Any) -> list[dict[str, Any]]:
    """Returns a summary as JSON rows; NaN and infinities, unknown to JSON, as null."""
    rows = table.to_dataframe().reset_index().to_dict("records")

    def plain(value: Any) -> Any:
        unknown = isinstance(value, float) and not math.isfinite(value)
        return None if unknown else value

    return [{key: plain(value) for key, value in row.items()} for row in rows]


def print_json(value: Any) -> None:
    """Prints a value as strict JSON."""
    print(json.dumps(value, indent=2, allow_nan=False, default=lambda x: x.item()))


def is_terminal() -> bool:
    """Returns whether somebody watches: progress bars are for people."""
    return sys.stderr.isatty()
