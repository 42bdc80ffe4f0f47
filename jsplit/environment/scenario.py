"""What a network says and what a decision costs, under conditions that change.

Here: `Condition` and `Scenario`, which `evaluate` takes in place of a trace and costs.
Where a condition is a distortion of the input, each condition has its own trace. Where
it is the state of a link, each has its own costs. Not here: how conditions follow one
another (`drift`).
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.drift import Chain, Drift
from jsplit.traces.joining import difference, in_order_of
from jsplit.traces.trace import Trace, check_trace
from jsplit.types import JsplitError


class Route(NamedTuple):
    """How a sample is shipped: to which tier, at which rate, with how many bits."""

    trace: Trace
    costs: Costs


@dataclasses.dataclass(frozen=True)
class Condition:
    """What a network says and what a decision costs while a condition holds.

    Attributes:
        trace: N samples, L exits.
        costs: costs for the L exits.
        routes: other routes that a plan may choose, as pairs of a trace and costs: a
            second tier, a coarser quantisation, a narrower encoder. Each trace has the
            same samples as `trace`, in the same order. `Plan.route` 1 is the first of
            these routes; 0 is `trace` and `costs`. A context always describes route 0.

    Example:
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> edge, cloud = Costs.splitee(2, offload=0.1), Costs.splitee(2, offload=0.4)
        >>> both = Condition(trace, edge, ((trace, cloud),))
        >>> [route.costs.input for route in both.all_routes]
        [0.1, 0.4]
    """

    trace: Trace
    costs: Costs
    routes: tuple[tuple[Trace, Costs], ...] = ()

    @property
    def all_routes(self) -> tuple[Route, ...]:
        """Every route, the condition's own first."""
        return (
            Route(self.trace, self.costs),
            *(Route(*route) for route in self.routes),
        )


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Conditions on N samples, and how they follow one another.

    Args:
        conditions: a `Condition` or a pair (trace, costs) for each name. All traces
            have the same number of samples and exits. Sample n of one condition need
            not be sample n of another, since every step sees one condition only.
        drift: how conditions follow one another, see `jsplit.drift`. None for a single
            condition.

    Raises:
        JsplitError: if the conditions do not fit each other or the drift.

    Example:
        >>> from jsplit.environment.drift import markov
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> good, bad = Costs.splitee(2, offload=0.1), Costs.splitee(2, offload=0.9)
        >>> link = {"good": (trace, good), "bad": (trace, bad)}
        >>> Scenario(link, markov([[0.9, 0.1], [0.3, 0.7]])).num_conditions
        2
    """

    conditions: Mapping[str, Condition]
    drift: Drift | None

    def __init__(
        self,
        conditions: Mapping[str, Condition | tuple[Trace, Costs]],
        drift: Drift | None = None,
    ) -> None:
        if not isinstance(conditions, Mapping) or not conditions:
            raise JsplitError(
                "conditions must be a dict of at least one (trace, costs) by name, got "
                f"{checks.shown(conditions)}"
            )
        found = {str(name): _condition(name, one) for name, one in conditions.items()}
        first = next(iter(found.values())).trace
        found = {name: _in_order_of(one, first) for name, one in found.items()}
        _check_alike(found)
        object.__setattr__(self, "conditions", found)
        object.__setattr__(self, "drift", _fitting(drift, len(found)))

    @property
    def names(self) -> list[str]:
        """The names of the conditions."""
        return list(self.conditions)

    @property
    def num_conditions(self) -> int:
        """Number of conditions M."""
        return len(self.conditions)

    @property
    def first(self) -> Condition:
        """The first condition."""
        return next(iter(self.conditions.values()))

    @property
    def num_samples(self) -> int:
        """Number of samples N."""
        return self.first.trace.num_samples

    @property
    def num_exits(self) -> int:
        """Number of exits L."""
        return self.first.trace.num_exits

    def chain(self, horizon: int) -> Chain | None:
        """Returns the chain of `horizon` steps, None if there is one condition."""
        if self.drift is None:
            return None
        return self.drift.chain(horizon, self.num_conditions)

    @classmethod
    def of(cls, trace: "Trace | Scenario", costs: Costs | None) -> "Scenario":
        """Returns the scenario that the arguments of `evaluate` describe."""
        if isinstance(trace, Scenario):
            if costs is not None:
                raise JsplitError(
                    "costs must not be given with a scenario, whose conditions have "
                    "their own"
                )
            return trace
        check_inputs(trace, costs)
        assert costs is not None
        return cls({"": Condition(trace.checked(), costs.checked())})


def check_inputs(trace: Trace, costs: Costs | None) -> None:
    """Raises unless these are a trace and costs for its exits."""
    check_trace("trace", trace)
    if not isinstance(costs, Costs):
        raise JsplitError(
            f"costs must be a jsplit.Costs, got {type(costs).__name__}; for instance "
            f"Costs.splitee({trace.num_exits})"
        )
    if costs.num_exits != trace.num_exits:
        raise JsplitError(
            f"costs must be for the trace's {trace.num_exits} exits, got costs for "
            f"{costs.num_exits}"
        )


def _condition(name: str, given: Condition | tuple[Trace, Costs]) -> Condition:
    if not isinstance(given, Condition):
        if not _is_pair(given, 2):
            raise JsplitError(
                f"condition {name!r} must be a pair (trace, costs) or a Condition, got "
                f"{checks.shown(given)}"
            )
        given = Condition(*given)
    routes = given.routes
    if not _is_pair(routes, None) or not all(_is_pair(route, 2) for route in routes):
        raise JsplitError(
            f"condition {name!r}: routes must hold pairs (trace, costs), got "
            f"{checks.shown(routes)}"
        )
    for route in given.all_routes:
        try:
            check_inputs(*route)
        except JsplitError as error:
            raise JsplitError(f"condition {name!r}: {error}") from None
    (trace, costs), *others = given.all_routes
    first = trace.checked()
    return Condition(
        first,
        costs.checked(),
        tuple((in_order_of(one.checked(), first), c.checked()) for one, c in others),
    )


def _in_order_of(condition: Condition, first: Trace) -> Condition:
    """Returns a condition whose samples, where they are those of `first`, are alike."""
    routes = tuple(Route(in_order_of(x, first), costs) for x, costs in condition.routes)
    return Condition(in_order_of(condition.trace, first), condition.costs, routes)


def _is_pair(value: object, size: int | None) -> bool:
    return isinstance(value, tuple | list) and size in (None, len(value))


def _check_alike(conditions: Mapping[str, Condition]) -> None:
    def sizes(one: Condition) -> list[tuple[int, int]]:
        return [route.trace.correct.shape for route in one.all_routes]

    shapes = {shape for one in conditions.values() for shape in sizes(one)}
    if len(shapes) > 1:
        raise JsplitError(
            "all traces of a scenario must have the same samples and exits, got shapes "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    for name, one in conditions.items():
        _check_same_samples(name, one)
    routes = [route for one in conditions.values() for route in one.all_routes]
    traces, costs = [one.trace for one in routes], [one.costs for one in routes]
    for what, values in (
        ("routes", {len(one.routes) for one in conditions.values()}),
        ("unit of cost", {one.unit for one in costs}),
        ("mu", {one.mu for one in costs}),
        ("confidences, or none", {one.confidence is not None for one in traces}),
    ):
        if len(values) > 1:
            raise JsplitError(
                f"all conditions must have the same {what}, got "
                f"{', '.join(map(str, sorted(values)))}"
            )


def _check_same_samples(name: str, condition: Condition) -> None:
    """Raises if the routes, as far as can be told, are not of the same samples."""
    for number, route in enumerate(condition.all_routes):
        if found := difference(condition.trace, route.trace):
            raise JsplitError(
                f"condition {name!r}: all routes must be traces of the same samples, "
                f"got {found} in route {number}"
            )


def _fitting(drift: Drift | None, num_conditions: int) -> Drift | None:
    if num_conditions == 1 and drift is None:
        return None
    if not isinstance(drift, Drift):
        raise JsplitError(
            f"drift must be a jsplit.drift that says how {num_conditions} conditions "
            f"follow one another, such as periodic(1000), got {checks.shown(drift)}"
        )
    wanted = drift.num_conditions
    if wanted is not None and wanted != num_conditions:
        raise JsplitError(
            f"drift {drift.label} is for {wanted} conditions, got {num_conditions}"
        )
    return drift if num_conditions > 1 else None  # nothing changes
