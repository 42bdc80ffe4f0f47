"""What subcommands share: options, JSON, folders, what they say on the way."""

import json
import math
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Annotated, Any

import tyro

from jsplit.types import JsplitError

Seed = Annotated[int, tyro.conf.arg(help="seed of everything random, >= 0.")]
Quiet = Annotated[bool, tyro.conf.arg(help="show no progress on standard error.")]
AsJson = Annotated[
    bool, tyro.conf.arg(name="json", help="print JSON on standard output instead.")
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


def make_folder(path: pathlib.Path) -> None:
    """Makes a folder and tries to write into it, before any long work."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".jsplit-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise JsplitError(f"out: cannot write into {path}: {reason}") from None


def stages(quiet: bool) -> Callable[[str], None]:
    """Returns a function that names the next stage on standard error, or nothing."""
    if quiet:
        return lambda line: None
    return lambda line: print(f"{line} ...", file=sys.stderr)
