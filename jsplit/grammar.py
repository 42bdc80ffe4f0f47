"""How a name with values is written: `name(number=value, ...)`, and `name=value`.

Here: the one grammar of policies, fitted rules and settings. Not here: which names
and values there are (`policies.registry`, `fitting.named`, `models.registry`).
"""

import ast
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from jsplit import checks
from jsplit.types import JsplitError

_CALL = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_OPENS = {")": "(", "]": "["}
# Python's parser may overflow its stack on longer ones; nobody writes them by hand.
_LONGEST = 1000


def parse_call(what: str, text: object) -> tuple[str, dict[str, Any]]:
    """Returns the name and the values of a text such as "splitee(alpha=0.8)".

    Args:
        what: what the name is of, for messages, such as "policy".
        text: a name, with values in brackets or without.

    Returns:
        name: the name.
        values: what `read_value` makes of each value, by its name.

    Raises:
        JsplitError: if the text is not of this form, or a value is given twice.

    Example:
        >>> parse_call("policy", "splitee(alpha=0.8, beta=2)")
        ('splitee', {'alpha': 0.8, 'beta': 2})
        >>> parse_call("rule", "best_split(objective=true_reward)")
        ('best_split', {'objective': 'true_reward'})
    """
    found = _CALL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise JsplitError(
            f"{what} must be a name or name(number=value, ...), got "
            f"{checks.shown(text)}"
        )
    name, inside = found.groups()
    rule = f"{what} {name}: expected number=value, every number once"
    inside = (inside or "").strip()
    return name, _values(rule, _parts(inside) if inside else ())


def parse_settings(what: str, texts: Iterable[str]) -> dict[str, Any]:
    """Returns the values of texts such as "width=0.5", by name.

    Args:
        what: what holds the texts, for messages, such as "set".
        texts: one name and value each.

    Raises:
        JsplitError: if a text is not of this form, or a name is given twice.

    Example:
        >>> parse_settings("set", ["width=0.5", "stem=cifar", "widths=(4, 8)"])
        {'width': 0.5, 'stem': 'cifar', 'widths': (4, 8)}
    """
    return _values(f"{what} must be NAME=VALUE", texts)


def read_value(text: str) -> Any:
    """Returns the number, word, None, True, False or list of them that is written.

    What is none of these, as Python writes them, is a word: the text itself.

    Args:
        text: what stands behind the "=".

    Example:
        >>> read_value("1e-3"), read_value("cifar"), read_value("[1, None]")
        (0.001, 'cifar', [1, None])
    """
    if len(text) > _LONGEST:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, about how words look
            value = ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    return value if _is_plain(value) else text


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)  # what overflows is shown as it was written
    return value is None or isinstance(value, bool | int | str)


def _values(rule: str, parts: Iterable[str]) -> dict[str, Any]:
    values = {}
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier():
            raise JsplitError(f"{rule}, got {checks.shown(part)}")
        if name in values:
            raise JsplitError(f"{rule}, got {name} twice")
        values[name] = read_value(value)
    return values


def _parts(inside: str) -> Iterator[str]:
    """Yields what stands between the commas that are in no list and no quotes."""
    start, opened, quote = 0, [], ""
    for i, letter in enumerate(inside):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPENS.values():
            opened.append(letter)
        elif opened and _OPENS.get(letter) == opened[-1]:
            opened.pop()
        elif letter == "," and not opened:
            yield inside[start:i]
            start = i + 1
    yield inside[start:]
