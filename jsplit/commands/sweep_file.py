"""A sweep from a TOML file: its fields are the flags of `jsplit sweep`.

Here: from a file to the words that could have been typed, so that both are checked
alike. Not here: what the flags mean (`sweep`).
"""

import dataclasses
import pathlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsplit import checks
from jsplit.commands.sweep import Sweep
from jsplit.types import JsplitError


def with_file(arguments: Sequence[str]) -> tuple[list[str], type]:
    """Returns the arguments with what a TOML file says, and what they fill in.

    Args:
        arguments: those behind `jsplit sweep`, FILE.toml and flags. A flag wins
            over the file. Without such a file they are returned as they are.

    Raises:
        JsplitError: if the file cannot be read or has a field that there is not.
    """
    arguments = list(arguments)
    if not "".join(arguments[:1]).endswith(".toml"):
        return arguments, Sweep
    path = pathlib.Path(arguments[0])
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JsplitError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JsplitError(f"{path} is not TOML: {error}") from None
    words = _words(path, fields)
    # Words in place of those of the command line: all of them have a name.
    named = dataclasses.make_dataclass(
        "Sweep",
        [
            ("trace", pathlib.Path | None, None),
            ("policies", tuple[str, ...], Sweep.policies),
        ],
        bases=(Sweep,),
        frozen=True,
        namespace={"__doc__": Sweep.__doc__},
    )
    return [*words, *arguments[1:]], named


def _words(path: pathlib.Path, fields: Mapping[str, Any]) -> list[str]:
    known = {one.name for one in dataclasses.fields(Sweep)} - {"as_json"} | {"json"}
    words: list[str] = []
    for key, value in fields.items():
        name = checks.choice(f"field of {path}", key.replace("-", "_"), sorted(known))
        flag = name.replace("_", "-")
        if isinstance(value, Mapping):
            if name != "over":
                raise JsplitError(f"{path}: {key} must not be a table")
            value = [f"{axis}={_values(one)}" for axis, one in _axes(value)]
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [f"--{flag}", *map(str, value)]
        else:
            words += [f"--{flag}", str(value)]
    return words


def _axes(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the axes of a table: `splitee.alpha = ...` is a table within it."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _axes(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _values(value: Any) -> str:
    """Returns the values of an axis as they are typed."""
    if not isinstance(value, list):
        return str(value)
    return ",".join(
        "/".join(map(str, x)) if isinstance(x, list) else str(x) for x in value
    )
