"""How the conditions of a scenario follow one another, as data for the engine.

Here: abrupt, gradual, periodic, random, Markov and recorded changes, all as a Markov
chain whose transitions may differ from step to step. Not here: what the conditions are
(`scenario`) or who draws them (`engine.streams`).
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jsplit import checks
from jsplit.types import JsplitError


class Chain(NamedTuple):
    """Chances of the conditions of T steps."""

    phase: np.ndarray  # [T] int: which transition leads to the step
    transition: np.ndarray  # [P, M, M]: chance of each condition, given the one before

    @property
    def is_drawn(self) -> bool:
        """Whether replicas differ in their conditions."""
        return bool(((self.transition > 0) & (self.transition < 1)).any())


@dataclasses.dataclass(frozen=True)
class Drift:
    """How conditions follow one another.

    Attributes:
        label: how it was made, as stored with results.
        num_conditions: number of conditions M, or None if it fits any number.
        chain: (T, M) -> the chain of the first T steps. The transition to step 0 does
            not depend on a condition before, since there is none.
    """

    label: str
    num_conditions: int | None
    chain: Callable[[int, int], Chain]


def abrupt(*at: int) -> Drift:
    """Returns the drift whose condition m + 1 starts at step `at[m]`.

    Args:
        *at: increasing steps >= 1, counted from 0: M - 1 steps for M conditions.

    Raises:
        JsplitError: if the steps do not increase from at least 1.

    Example:
        >>> abrupt(100, 300).num_conditions
        3
    """
    starts = [checks.integer("at", step, 1) for step in at]
    if not starts or sorted(set(starts)) != starts:
        raise JsplitError(f"at must be increasing steps, at least one, got {at!r}")
    series = functools.partial(_after, starts=tuple(starts))
    return _certain(f"abrupt({', '.join(map(str, starts))})", len(starts) + 1, series)


def periodic(period: int) -> Drift:
    """Returns the drift that visits the conditions in turn, `period` steps each.

    Args:
        period: steps until the next condition, >= 1.

    Returns:
        A drift that fits any number of conditions.

    Example:
        >>> periodic(2).chain(7, 3).phase
        array([0, 0, 1, 1, 2, 2, 0])
    """
    period = checks.integer("period", period, 1)
    chain = functools.partial(_in_turn, period=period)
    return Drift(f"periodic({period})", None, chain)


def recorded(series: Sequence[int] | np.ndarray) -> Drift:
    """Returns the drift that repeats a recorded series of conditions.

    Args:
        series: condition of each step, whole numbers >= 0. The largest is the last
            condition of the scenario. A longer run starts the series again.

    Raises:
        JsplitError: if the series does not hold whole numbers >= 0.

    Example:
        >>> recorded([0, 0, 1]).chain(5, 2).phase
        array([0, 0, 1, 0, 0])
    """
    try:
        values = np.asarray(series)
    except ValueError:  # rows of different lengths
        values = np.zeros(0)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iu":
        raise JsplitError(
            "series must be a list of condition numbers from 0, got "
            f"{checks.shown(series)}"
        )
    if values.min() < 0:
        raise JsplitError(f"series must be >= 0, got {values.min()}")

    digest = hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()[:8]
    label = f"recorded({values.size} steps, sha256 {digest})"
    repeated = functools.partial(_repeated, values=values)
    return _certain(label, int(values.max()) + 1, repeated)


def ramp(start: int, end: int) -> Drift:
    """Returns the drift from condition 0 to 1 whose chance grows from `start` to `end`.

    At step t condition 1 holds with chance (t - start) / (end - start), cut to [0, 1].

    Args:
        start: step >= 0 until which condition 0 holds.
        end: step > start from which condition 1 holds.

    Raises:
        JsplitError: if the steps are out of order.
    """
    start = checks.integer("start", start, 0)
    end = checks.integer("end", end, start + 1)
    chain = functools.partial(_ramp, start=start, end=end)
    return Drift(f"ramp({start}, {end})", 2, chain)


def mixture(*weights: float) -> Drift:
    """Returns the drift that draws every step's condition anew, with these weights.

    Args:
        *weights: chance of each condition, >= 0; they add up to 1.

    Raises:
        JsplitError: if the weights are no chances.
    """
    chances = _chances("weights", [weights])
    chain = functools.partial(_anew, chances=chances)
    label = f"mixture({', '.join(f'{w:g}' for w in weights)}{_digest(chances)})"
    return Drift(label, len(weights), chain)


def markov(
    transition: Sequence[Sequence[float]] | np.ndarray,
    initial: Sequence[float] | None = None,
) -> Drift:
    """Returns the drift of a Markov chain, such as a link that is good or bad.

    Args:
        transition: [M, M]; row i holds the chances >= 0 of the next condition after i,
            which add up to 1.
        initial: [M] chances of the first condition, >= 0; they add up to 1. None: the
            stationary distribution pi = pi P; of several, the one nearest to uniform.

    Raises:
        JsplitError: if rows are no chances or shapes do not fit.

    Example:
        >>> markov([[0.9, 0.1], [0.3, 0.7]]).chain(2, 2).transition[0, 0].round(6)
        array([0.75, 0.25])
    """
    matrix = _chances("transition", transition)
    if matrix.shape[0] != matrix.shape[1]:
        raise JsplitError(f"transition must be square, got shape {matrix.shape}")
    first = _long_run(matrix) if initial is None else _chances("initial", [initial])[0]
    if first.size != len(matrix):
        raise JsplitError(f"initial must hold {len(matrix)} chances, got {first.size}")
    chain = functools.partial(_drawn, first=first, matrix=matrix)
    shown = [matrix] if initial is None else [matrix, first]
    label = ", ".join(
        np.array2string(one, separator=", ", precision=4) for one in shown
    )
    label = f"markov({label}{_digest(*shown)})".replace("\n", "")
    return Drift(label, len(matrix), chain)


def _digest(*chances: np.ndarray) -> str:
    """Returns a hash for a label whose printed chances are rounded, else nothing."""

    def is_shown(one: np.ndarray) -> bool:
        short = one.size <= np.get_printoptions()["threshold"]
        return short and np.allclose(one, one.round(4), rtol=0, atol=1e-12)

    if all(map(is_shown, chances)):
        return ""
    content = b"".join(one.astype("<f8").tobytes() for one in chances)
    return f", sha256 {hashlib.sha256(content).hexdigest()[:8]}"


# What the drifts are made of: functions of this module, so that drifts can be pickled.


def _after(horizon: int, starts: tuple[int, ...]) -> np.ndarray:
    return np.searchsorted(starts, np.arange(horizon), side="right")


def _repeated(horizon: int, values: np.ndarray) -> np.ndarray:
    return np.resize(values, horizon)


def _certain(label: str, num: int, series: Callable[[int], np.ndarray]) -> Drift:
    return Drift(label, num, functools.partial(_visits, series=series))


def _visits(
    horizon: int, num_conditions: int, series: Callable[[int], np.ndarray]
) -> Chain:
    return _follow(series(horizon), num_conditions)


def _in_turn(horizon: int, num_conditions: int, period: int) -> Chain:
    return _follow(np.arange(horizon) // period % num_conditions, num_conditions)


def _ramp(horizon: int, num_conditions: int, start: int, end: int) -> Chain:
    del num_conditions
    step = np.arange(start, end + 1)
    second = (step - start) / (end - start)
    transition = np.stack([1 - second, second], 1)[:, None].repeat(2, 1)
    return Chain(np.clip(np.arange(horizon), start, end) - start, transition)


def _anew(horizon: int, num_conditions: int, chances: np.ndarray) -> Chain:
    del num_conditions
    return Chain(np.zeros(horizon, int), chances.repeat(chances.size, 0)[None])


def _drawn(
    horizon: int, num_conditions: int, first: np.ndarray, matrix: np.ndarray
) -> Chain:
    start = first[None].repeat(num_conditions, 0)
    return Chain(np.minimum(np.arange(horizon), 1), np.stack([start, matrix]))


def _follow(series: np.ndarray, num_conditions: int) -> Chain:
    """Returns the chain that visits the conditions of the series with certainty."""
    certain = np.eye(num_conditions)[:, None].repeat(num_conditions, 1)
    return Chain(series, certain)


def _chances(name: str, rows: Any) -> np.ndarray:
    try:
        table = np.asarray(rows)
    except ValueError:  # rows of different lengths
        table = np.zeros(0)
    if table.ndim != 2 or not table.size or table.dtype.kind not in "iuf":
        raise JsplitError(f"{name} must hold chances, got {checks.shown(rows)}")
    table = table.astype(np.float64)
    if not (table >= 0).all() or not np.allclose(table.sum(1), 1, atol=1e-6):
        raise JsplitError(
            f"{name} must be >= 0 and add up to 1, got {checks.shown(rows)}"
        )
    return table / table.sum(1, keepdims=True)


def _long_run(matrix: np.ndarray) -> np.ndarray:
    """Returns a stationary distribution of the chain: pi P = pi, sum pi = 1."""
    size = len(matrix)
    system = np.vstack([matrix.T - np.eye(size), np.ones(size)])
    solution = np.linalg.lstsq(system, np.append(np.zeros(size), 1), rcond=None)[0]
    solution = np.clip(solution, 0, None)
    return solution / solution.sum()
