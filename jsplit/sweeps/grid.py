"""Axes of a sweep, and the cells that they span.

Here: which argument an axis belongs to, and the settings of every cell. Not here: what
is done in a cell (`sweep`).
"""

import dataclasses
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.policies.base import Policy
from jsplit.policies.registry import make_policy, policy_numbers
from jsplit.results.runs import Row
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

RUN_AXES = ("horizon", "protocol", "stream")
MAX_CELLS = 10**6

MakeCosts = Callable[..., Costs]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One thing that varies.

    Attributes:
        name: as the user wrote it, such as "offload" or "splitee.alpha".
        values: all different, at least one.
        kind: what takes the values: the traces, the costs, the run or policies.
        policy: name of the only policy that takes them; None for all that can.
    """

    name: str
    values: tuple[Any, ...]
    kind: Literal["trace", "costs", "run", "policy"]
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
class Place:
    """The settings of one environment: everything but the numbers of policies."""

    scenario: Scenario  # of one condition
    at: Mapping[str, Any]  # value by axis
    run: Mapping[str, Any]  # arguments of `evaluate`


@dataclasses.dataclass(frozen=True)
class Grid:
    """Axes, and what they are axes of.

    Attributes:
        axes: in the order they were given.
        policies: as given, without the values of axes.
        traces: by name; the one called "" where there is no such axis.
        costs: costs, or a function of the number of exits and the cost axes.
    """

    axes: tuple[Axis, ...]
    policies: tuple[Policy, ...]
    traces: Mapping[str, Trace]
    costs: Costs | MakeCosts

    def places(self) -> Iterator[Place]:
        """Yields every environment, with all values of the axes that make it."""
        axes = [axis for axis in self.axes if axis.kind != "policy"]
        for values in itertools.product(*(axis.values for axis in axes)):
            at = {axis.name: value for axis, value in zip(axes, values, strict=True)}
            trace = self.traces[at.get("trace", next(iter(self.traces)))]
            numbers = {a.number: at[a.name] for a in axes if a.kind == "costs"}
            run = {a.name: at[a.name] for a in axes if a.kind == "run"}
            costs = self._costs(trace, numbers)
            yield Place(Scenario.of(trace, costs), at, run)

    def variants(self, policy: Policy) -> Iterator[tuple[dict[str, Any], Policy]]:
        """Yields a policy with every combination of its own axes' values."""
        axes = [axis for axis in self.axes if axis.is_for(policy)]
        for values in itertools.product(*(axis.values for axis in axes)):
            at = {axis.name: value for axis, value in zip(axes, values, strict=True)}
            numbers = {axis.number: at[axis.name] for axis in axes}
            if not numbers:
                yield at, policy
                continue
            yield at, make_policy(policy.name, **{**policy.numbers, **numbers})

    def rows(self, baseline: Policy) -> list[Row]:
        """Returns every policy beside the baselines it is compared with.

        The baseline has the same values of its axes. A policy that has no such axis is
        compared with the baseline at each of its values.
        """
        bases = [(at, one.label) for at, one in self.variants(baseline)]
        return [
            Row(number, at, {**at, **base_at}, one.label, base)
            for number, policy in enumerate(self.policies)
            for at, one in self.variants(policy)
            for base_at, base in bases
            if all(at[name] == base_at[name] for name in at.keys() & base_at.keys())
        ]

    def num_cells(self) -> int:
        """How many combinations of values there are."""
        return math.prod(len(axis.values) for axis in self.axes)

    def num_evaluations(self) -> int:
        """How many policies are replayed, over all environments."""
        places = math.prod(len(x.values) for x in self.axes if x.kind != "policy")
        return places * sum(
            math.prod(len(axis.values) for axis in self.axes if axis.is_for(policy))
            for policy in self.policies
        )

    def _costs(self, trace: Trace, numbers: Mapping[str, Any]) -> Costs:
        if isinstance(self.costs, Costs):
            return self.costs
        found = self.costs(trace.num_exits, **numbers)
        if not isinstance(found, Costs):
            raise JsplitError(
                f"costs must return a jsplit.Costs, got {type(found).__name__}"
            )
        return found


def make_grid(
    trace: Trace | Mapping[str, Trace],
    policies: Sequence[Policy],
    costs: Costs | MakeCosts,
    over: Mapping[str, Sequence[Any]],
) -> Grid:
    """Returns the grid that the arguments of `sweep` describe.

    Raises:
        JsplitError: if an axis is empty, repeats a value or belongs to nothing, or if
            what it belongs to is not of a kind that has axes.
    """
    traces = trace if isinstance(trace, Mapping) else {"": trace}
    if not traces or not all(isinstance(one, Trace) for one in traces.values()):
        raise JsplitError(
            "trace must be a jsplit.Trace or a dict of them by name, got "
            f"{checks.shown(trace)}"
        )
    if not isinstance(costs, Costs) and not callable(costs):
        raise JsplitError(
            "costs must be a jsplit.Costs or a function such as jsplit.Costs.splitee, "
            f"got {checks.shown(costs)}"
        )
    if not isinstance(over, Mapping):
        raise JsplitError(
            f"over must be a dict of values by axis, got {checks.shown(over)}"
        )
    axes = [_axis(str(name), values, policies, costs) for name, values in over.items()]
    if isinstance(trace, Mapping):
        axes.insert(0, Axis("trace", tuple(map(str, traces)), "trace"))
    grid = Grid(
        tuple(axes),
        tuple(policies),
        {str(name): one for name, one in traces.items()},
        costs,
    )
    size = grid.num_evaluations()
    if size > MAX_CELLS:
        raise JsplitError(f"over must span at most {MAX_CELLS:,} cells, got {size:,}")
    return grid


def _axis(
    name: str, given: Any, policies: Sequence[Policy], costs: Costs | MakeCosts
) -> Axis:
    values = tuple(checks.entries(f"values of axis {name}", given))
    if not values:
        raise JsplitError(f"axis {name} must have at least one value, got none")
    for value in values:
        if values.count(value) > 1:
            raise JsplitError(f"axis {name} must have different values, got {value}")
    if name in RUN_AXES:
        return Axis(name, values, "run")
    policy, _, number = name.rpartition(".")
    if policy:
        names = [one.name for one in policies]
        checks.choice(f"policy of axis {name}", policy, names)
        checks.choice(f"number of axis {name}", number, _numbers(policy))
        return Axis(name, values, "policy", policy)
    of_costs = _cost_numbers(costs)
    of_policies = {x: one.name for one in policies for x in _numbers(one.name)}
    checks.choice("axis", name, dict.fromkeys([*of_costs, *of_policies, *RUN_AXES]))
    if name in of_costs and name in of_policies:
        raise JsplitError(
            f"axis {name} is a number of the costs and of policy {of_policies[name]}: "
            f"write {of_policies[name]}.{name}, or name the costs' argument otherwise"
        )
    return Axis(name, values, "costs" if name in of_costs else "policy")


def _cost_numbers(costs: Costs | MakeCosts) -> list[str]:
    """Returns the arguments of a function of costs, but the number of exits."""
    if isinstance(costs, Costs):
        return []
    return [*inspect.signature(costs).parameters][1:]


def _numbers(name: str) -> dict[str, Any]:
    """Returns the numbers of a policy; none of one that has no registered name."""
    try:
        return policy_numbers(name)
    except JsplitError:
        return {}
