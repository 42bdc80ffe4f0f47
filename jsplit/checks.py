"""Checks of values that users type, each failing with one clear line.

Here: the rules shared by public entry points, applied before anything is computed;
`name` is what a message calls the value. A traced value has no number yet and is never
looked at. Not here: checks of whole arrays (`traces.arrays`).
"""

import contextlib
import difflib
import math
import numbers
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jsplit.types import JsplitError

NOT_TRACED = (
    "must hold numbers, got traced values; inside jit, vmap or grad use jsplit.rollout "
    "or jsplit.expected"
)

# Of costs and of the numbers of policies. Squares of such numbers, summed over any run,
# fit single precision, which ends at 3e38.
LARGEST = 1e12


def shown(value: object, limit: int = 60) -> str:
    """Returns `repr(value)` on one line, shortened to `limit` characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_traced(value: Any) -> bool:
    """Tells whether `value`, or a leaf of it, is traced by a transformation of JAX."""
    if isinstance(value, np.ndarray):
        return False
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Returns `value` as an int, or raises if it is not an integer in [low, high]."""
    if isinstance(value, Tracer):
        raise JsplitError(
            f"{name} must be known when a function is traced, since it fixes the "
            f"program, got {shown(value)}; set it outside"
        )
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not good or int(value) < low or (high is not None and int(value) > high):
        rule = f">= {low}" if high is None else f"from {low} to {high}"
        raise JsplitError(f"{name} must be an integer {rule}, got {shown(value)}")
    return int(value)


def seed(value: Any) -> int:
    """Returns `value` as a seed, or raises if it is not an integer below 2^32."""
    return integer("seed", value, 0, 2**32 - 1)


def number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf
) -> float:
    """Returns `value` as a float, or raises if not a finite number in [low, high].

    A traced number is returned as it is.
    """
    if isinstance(value, jax.Array) and value.shape == ():
        if is_traced((value, low, high)):
            return value  # type: ignore[return-value]
        value = value.item()
    elif is_traced((low, high)):
        low, high = -math.inf, math.inf
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        given = float(value) if good else math.nan
    except OverflowError:  # a whole number too large for a float
        given = math.inf
    if not math.isfinite(given) or not low <= given <= high:
        if math.isinf(low) and math.isinf(high):
            rule = "a finite number"
        elif math.isinf(high):
            rule = f"a finite number >= {low:g}"
        else:
            rule = f"a number from {low:g} to {high:g}"
        raise JsplitError(f"{name} must be {rule}, got {shown(value)}")
    return given


def moderate(name: str, value: Any) -> float:
    """Returns `value` as a float, or raises if not a number in [0, `LARGEST`].

    A traced number is returned as it is.
    """
    given = number(name, value, 0.0)
    if not is_traced(given) and given > LARGEST:
        raise JsplitError(
            f"{name} must be at most {LARGEST:g}, or single precision overflows, got "
            f"{shown(value)}"
        )
    return given


def entries(name: str, value: Any) -> list[Any]:
    """Returns the entries of a list, tuple or array, or raises if `value` is none."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise JsplitError(f"{name} must be a list such as (8, 16), got {shown(value)}")
    return list(value)


def integers(name: str, value: Any, low: int, at_least: int = 1) -> list[int]:
    """Returns a list of integers >= `low`, or raises if it has too few entries."""
    given = [integer(f"each of {name}", one, low) for one in entries(name, value)]
    if len(given) < at_least:
        plural = "entry" if at_least == 1 else "entries"
        raise JsplitError(
            f"{name} must have at least {at_least} {plural}, got {shown(given)}"
        )
    return given


def path(name: str, value: Any) -> pathlib.Path:
    """Returns `value` as a path, or raises if no file or folder can have this name."""
    # Another type, or letters that no name may have.
    with contextlib.suppress(TypeError, ValueError):
        found, encoded = pathlib.Path(value), os.fsencode(value)
        if encoded and b"\0" not in encoded:
            return found
    raise JsplitError(f"{name} must be a path such as 'runs/a.npz', got {shown(value)}")


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Returns `value` if allowed, or raises with the choices and the nearest one."""
    allowed = list(allowed)
    if isinstance(value, str) and value in allowed:
        return value
    near = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise JsplitError(
        f"{name} must be one of {', '.join(allowed)}, got {shown(value)}{hint}"
    )
