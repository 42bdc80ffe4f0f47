"""What subcommands share: options, traces, JSON, what they say on the way."""

import json
import math
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from jsplit.types import JsplitError

Seed = Annotated[int, tyro.conf.arg(help="seed of everything random, >= 0.")]
Quiet = Annotated[bool, tyro.conf.arg(help="show no progress on standard error.")]
AsJson = Annotated[
    bool, tyro.conf.arg(name="json", help="print JSON on standard output instead.")
]


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """Returns a data frame as JSON rows; NaN and infinities, unknown to JSON, as null.

    Args:
        frame: a `pandas.DataFrame`, or what has a `to_dataframe`.
    """
    if hasattr(frame, "to_dataframe"):
        frame = frame.to_dataframe().reset_index()
    rows = frame.to_dict("records")

    def plain(value: Any) -> Any:
        unknown = isinstance(value, float) and not math.isfinite(value)
        return None if unknown else value

    return [{key: plain(value) for key, value in row.items()} for row in rows]


def load_traces(argument: str, paths: Sequence[pathlib.Path]) -> dict[str, Any]:
    """Returns traces by the names of their files, which must differ.

    Args:
        argument: which names all but the first of them.
        paths: of the files.
    """
    import jsplit

    traces = {}
    for path in paths:
        if path.stem in traces:
            raise JsplitError(
                f"{argument} must name traces of other names, got {path.stem} twice"
            )
        traces[path.stem] = jsplit.load_trace(path)
    return traces


def print_json(value: Any) -> None:
    """Prints a value as strict JSON."""
    print(json.dumps(value, indent=2, allow_nan=False, default=lambda x: x.item()))


def stages(quiet: bool) -> Callable[[str], None]:
    """Returns a function that names the next stage on standard error, or nothing."""
    if quiet:
        return lambda line: None
    return lambda line: print(f"{line} ...", file=sys.stderr)
