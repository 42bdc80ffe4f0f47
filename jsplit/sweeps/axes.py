"""Axes of a sweep: what varies, and over which values.

Here: which argument an axis belongs to, axes that vary together, random draws. Not
here: the cells that they span (`grid`).
"""

import collections
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.policies.base import Policy
from jsplit.policies.registry import policy_numbers
from jsplit.types import JsplitError

RUN_AXES = ("horizon", "protocol", "stream")
SCALES = ("linear", "log", "integer")

MakeCosts = Callable[..., Costs]
AnyCosts = Costs | MakeCosts | Mapping[str, Costs] | None
Over = Mapping[str | tuple[str, ...], Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One thing that varies.

    Attributes:
        name: as the user wrote it, such as "offload" or "splitee.alpha".
        values: one per point of its dimension.
        kind: what takes the values: the network's words, all costs, a number of the
            costs, the run or policies.
        policy: name of the only policy that takes them; None for all that can.
    """

    name: str
    values: tuple[Any, ...]
    kind: Literal["trace", "named costs", "costs", "run", "policy"]
    policy: str | None = None

    @property
    def number(self) -> str:
        """What is set, without the policy."""
        return self.name.rpartition(".")[2]

    def is_for(self, policy: Policy) -> bool:
        """Tells whether a policy has this number, and none of its own for it."""
        if self.kind != "policy" or self.number in policy.numbers:
            return False
        if self.policy is not None:
            return policy.name == self.policy
        return self.number in _numbers(policy.name)


@dataclasses.dataclass(frozen=True)
class Dimension:
    """Axes that vary together; mostly a single one.

    Attributes:
        axes: with equally many values, at least one.
    """

    axes: tuple[Axis, ...]

    @property
    def name(self) -> str:
        """Names of the axes, such as "offload" or "offload+alpha"."""
        return "+".join(axis.name for axis in self.axes)

    @property
    def values(self) -> tuple[Any, ...]:
        """What an axis takes at every point; tuples where several vary together."""
        if len(self.axes) == 1:
            return self.axes[0].values
        return tuple(zip(*(axis.values for axis in self.axes), strict=True))

    @property
    def of_policies(self) -> bool:
        """Whether numbers of policies vary."""
        return any(axis.kind == "policy" for axis in self.axes)

    @property
    def of_environment(self) -> bool:
        """Whether anything else varies."""
        return any(axis.kind != "policy" for axis in self.axes)

    def at(self, value: Any) -> list[tuple[Axis, Any]]:
        """Returns the axes with what each takes at one of `values`."""
        values = (value,) if len(self.axes) == 1 else value
        return [*zip(self.axes, values, strict=True)]


def random_axes(
    ranges: Mapping[str, Sequence[Any]], number: int, *, seed: int = 0
) -> dict[str | tuple[str, ...], list[Any]]:
    """Returns axes that vary together, drawn at random.

    A random search covers every axis with as many values as there are draws, where a
    grid of as many cells has a few of each.

    Args:
        ranges: by axis (low, high), or (low, high, scale) with scale "linear",
            "log" (uniform in the logarithm) or "integer" (both ends included).
        number: of draws, >= 1. Draws that repeat one are left out.
        seed: of the draws, >= 0; the same seed gives the same draws.

    Returns:
        What `jsplit.sweep` takes as `over`, alone or beside other axes.

    Raises:
        JsplitError: if a range is not of this form.

    Example:
        >>> over = random_axes({"alpha": (0.5, 0.9), "beta": (0.1, 10, "log")}, 200)
        >>> ((names, points),) = over.items()
        >>> names, len(points)
        (('alpha', 'beta'), 200)
    """
    if not isinstance(ranges, Mapping) or not ranges:
        raise JsplitError(
            f"ranges must be a dict of (low, high) by axis, got {checks.shown(ranges)}"
        )
    number = checks.integer("number", number, 1, 10**6)
    rng = np.random.default_rng(checks.seed(seed))
    columns = [_drawn(str(name), one, number, rng) for name, one in ranges.items()]
    points = [*dict.fromkeys(zip(*columns, strict=True))]
    if len(columns) == 1:
        return {str(next(iter(ranges))): [point[0] for point in points]}
    return {tuple(map(str, ranges)): points}


def make_dimensions(
    over: Over, policies: Sequence[Policy], costs: AnyCosts
) -> list[Dimension]:
    """Returns the axes that `sweep` was given, of numbers and of the run.

    Args:
        over: values by axis, or tuples of values by a tuple of axes.
        policies: that may take them.
        costs: whose arguments may be axes.

    Raises:
        JsplitError: if an axis is empty, repeats a value or belongs to nothing.
    """
    if not isinstance(over, Mapping):
        raise JsplitError(
            f"over must be a dict of values by axis, got {checks.shown(over)}"
        )
    found: list[Dimension] = []
    seen: set[str] = set()
    for key, given in over.items():
        names = tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)
        what = ", ".join(names)
        for name in names:
            if name in seen:
                raise JsplitError(f"over must name every axis once, got {name} twice")
            seen.add(name)
        points = [*map(_plain, checks.entries(f"values of axis {what}", given))]
        if not names or not points:
            raise JsplitError(f"axis {what} must have at least one value, got none")
        for point, times in collections.Counter(points).items():
            if times > 1:
                raise JsplitError(
                    f"axis {what} must have different values, got {point} twice"
                )
        columns = [points] if not isinstance(key, tuple) else _zipped(names, points)
        found.append(
            Dimension(
                tuple(
                    _axis(name, tuple(column), policies, costs)
                    for name, column in zip(names, columns, strict=True)
                )
            )
        )
    _check_once(found, policies)
    return found


def _check_once(found: Sequence[Dimension], policies: Sequence[Policy]) -> None:
    """Raises if two axes set the same number of a policy."""
    for policy in policies:
        by_number: dict[str, str] = {}
        for axis in (axis for dimension in found for axis in dimension.axes):
            if not axis.is_for(policy):
                continue
            other = by_number.setdefault(axis.number, axis.name)
            if other != axis.name:
                raise JsplitError(
                    f"axes {other} and {axis.name} must not both set {axis.number} of "
                    f"{policy.label}"
                )


def opened(policy: Policy, over: Any) -> Policy:
    """Returns a policy given by its bare name, whose label leaves out what varies.

    Args:
        policy: such as fixed_split(depth=1), given as "fixed_split".
        over: values by axis, not checked yet.
    """
    keys = over if isinstance(over, Mapping) else ()
    names = {str(x) for key in keys for x in (key if isinstance(key, tuple) else [key])}
    numbers = {
        name: value
        for name, value in policy.numbers.items()
        if not names & {name, f"{policy.name}.{name}"}
    }
    return policy.with_numbers(numbers)


def _drawn(
    name: str, given: Any, number: int, rng: np.random.Generator
) -> list[float] | list[int]:
    low, high, *scale = [*checks.entries(f"range of {name}", given), None, None][:4]
    scale = "linear" if scale[0] is None else checks.choice("scale", scale[0], SCALES)
    if scale == "integer":
        low = checks.integer(f"low of {name}", low, -(2**31))
        high = checks.integer(f"high of {name}", high, low, 2**31)
        return rng.integers(low, high, number, endpoint=True).tolist()
    low = checks.number(f"low of {name}", low)
    high = checks.number(f"high of {name}", high, low)
    if scale == "linear":
        return rng.uniform(low, high, number).tolist()
    if low <= 0:
        raise JsplitError(f"low of {name} must be > 0 for scale log, got {low:g}")
    return np.exp(rng.uniform(np.log(low), np.log(high), number)).tolist()


def _zipped(names: Sequence[str], points: Sequence[Any]) -> list[list[Any]]:
    """Returns the values of every axis from tuples of one value each."""
    for point in points:
        given = checks.entries(f"values of axes {', '.join(names)}", point)
        if len(given) != len(names):
            raise JsplitError(
                f"axes {', '.join(names)} must have {len(names)} values at every "
                f"point, got {checks.shown(point)}"
            )
    return [[_plain(point[i]) for point in points] for i in range(len(names))]


def _plain(value: Any) -> Any:
    """Returns NumPy's numbers as Python's, whose text is the same everywhere."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _axis(
    name: str, values: tuple[Any, ...], policies: Sequence[Policy], costs: AnyCosts
) -> Axis:
    if name in RUN_AXES:
        return Axis(name, values, "run")
    policy, _, number = name.rpartition(".")
    if policy:
        names = [one.name for one in policies]
        checks.choice(f"policy of axis {name}", policy, names)
        checks.choice(f"number of axis {name}", number, _numbers(policy))
        return _taken(Axis(name, values, "policy", policy), policies)
    of_costs = _cost_numbers(costs)
    of_policies = {x: one.name for one in policies for x in _numbers(one.name)}
    checks.choice("axis", name, dict.fromkeys([*of_costs, *of_policies, *RUN_AXES]))
    if name in of_costs and name in of_policies:
        raise JsplitError(
            f"axis {name} is a number of the costs and of policy {of_policies[name]}: "
            f"write {of_policies[name]}.{name}, or name the costs' argument otherwise"
        )
    if name in of_costs:
        return Axis(name, values, "costs")
    return _taken(Axis(name, values, "policy"), policies)


def _taken(axis: Axis, policies: Sequence[Policy]) -> Axis:
    """Returns an axis, or raises if every policy was given a number in its place."""
    if not any(map(axis.is_for, policies)):
        labels = [one.label for one in policies if axis.number in one.numbers]
        raise JsplitError(
            f"axis {axis.name} must be of a policy whose {axis.number} is not given, "
            f"got {', '.join(labels)}"
        )
    return axis


def _cost_numbers(costs: AnyCosts) -> list[str]:
    """Returns the arguments of a function of costs, but the number of exits."""
    if not callable(costs):
        return []
    return [*inspect.signature(costs).parameters][1:]


def _numbers(name: str) -> dict[str, Any]:
    """Returns the numbers of a policy; none of one that has no registered name."""
    try:
        return policy_numbers(name)
    except JsplitError:
        return {}
