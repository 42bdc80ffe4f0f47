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
Columns = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        help="names in the files of others by what they hold, as in "
        "confidence=conf_branch_{exit} label=target; usual names are known without."
    ),
]
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


def load_traces(
    argument: str,
    paths: Sequence[pathlib.Path],
    columns: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Returns traces by the names of their files, which must differ.

    Also returns what was understood of each, one line a file.

    Args:
        argument: which names all but the first of them.
        paths: of the files.
        columns: names in them, each as QUANTITY=NAME.
    """
    from jsplit.traces import loading

    stated = {}
    for text in columns:
        quantity, equals, name = text.partition("=")
        if not equals or quantity in stated:
            raise JsplitError(
                "columns must be QUANTITY=NAME, each quantity once, such as "
                f"label=target, got {text}"
            )
        stated[quantity] = name
    traces, lines = {}, []
    for path in paths:
        if path.stem in traces:
            raise JsplitError(
                f"{argument} must name traces of other names, got {path.stem} twice"
            )
        traces[path.stem], understood = loading.load_and_tell(path, stated or None)
        lines.append(understood)
    return traces, lines


def print_json(value: Any) -> None:
    """Prints a value as strict JSON."""
    print(json.dumps(value, indent=2, allow_nan=False, default=lambda x: x.item()))


def stages(quiet: bool) -> Callable[[str], None]:
    """Returns a function that names the next stage on standard error, or nothing."""
    if quiet:
        return lambda line: None
    return lambda line: print(f"{line} ...", file=sys.stderr)
