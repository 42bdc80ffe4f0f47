"""What a folder is of, in a small JSON file, so that nothing else is put into it.

Here: writing that once, and refusing another with what differs. Not here: what is
told (`sweeps.chunks`, `evaluation.kept`).
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from jsplit import checks
from jsplit.reading import json_of
from jsplit.types import JsplitError
from jsplit.writing import write_text


def describe(description: pathlib.Path, about: Mapping[str, Any], kind: str) -> None:
    """Says in a folder what it is of, unless it says so already.

    Args:
        description: the file, in a folder that exists.
        about: what is told, JSON-able.
        kind: what that is, such as "sweep".

    Raises:
        JsplitError: if the folder is of another, with what differs.
    """
    told = json.loads(json.dumps(about))
    if description.exists():
        check_same(description, told, kind)
    else:
        write_text(description, json.dumps(told, indent=2))


def check_same(
    description: pathlib.Path,
    told: Mapping[str, Any],
    kind: str,
    argument: str = "out",
) -> None:
    """Raises unless a folder is of this.

    Args:
        description: the file that says what it is of.
        told: what it should say.
        kind: what that is, such as "sweep".
        argument: what the folder was given as.

    Raises:
        JsplitError: if it is of another, with what differs, or damaged.
    """
    try:
        before = json_of(description)
    except (OSError, ValueError):
        before = None
    if not isinstance(before, dict):
        article = "an" if kind[0] in "aeiou" else "a"
        raise JsplitError(
            f"{argument}: {description} is damaged or not of {article} {kind}; use "
            "another folder"
        )
    differing = [
        f"{name} was {was}, is {now}"
        for name, value in told.items()
        for was, now in _differing(before.get(name), value)
    ]
    if differing:
        raise JsplitError(
            f"{argument}: {description.parent} holds another {kind}: "
            f"{'; '.join(differing)}; use another folder"
        )


def _differing(was: Any, now: Any) -> list[tuple[str, str]]:
    """Returns what differs in two values, shown: of long ones the parts that do."""
    if was == now:
        return []
    kinds = type(was), type(now)
    if kinds == (list, list) and len(was) == len(now):
        pairs = zip(was, now, strict=True)
    elif kinds == (dict, dict) and was.keys() == now.keys():
        pairs = (({name: was[name]}, {name: now[name]}) for name in now)
        if len(now) == 1:
            return [(checks.shown(was), checks.shown(now))]
    else:
        return [(checks.shown(was), checks.shown(now))]
    return next(found for found in (_differing(*pair) for pair in pairs) if found)
