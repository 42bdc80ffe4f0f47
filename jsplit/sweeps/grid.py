"""The cells that the axes of a sweep span.

Here: the settings of every cell, in blocks that share policies. Not here: what an axis
is (`axes`), what is done in a cell (`sweep`).
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.policies.base import Policy
from jsplit.policies.registry import make_policy
from jsplit.results.chunk import Row
from jsplit.sweeps.axes import AnyCosts, Axis, Dimension, Over, make_dimensions
from jsplit.sweeps.fits import Fit, cut
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

T = TypeVar("T")

MAX_CELLS = 10**6


@dataclasses.dataclass(frozen=True)
class Place:
    """The settings of one environment: everything but the numbers of policies."""

    scenario: Scenario
    at: Mapping[str, Any]  # value by dimension
    where: Mapping[str, int]  # number of the point by dimension
    run: Mapping[str, Any]  # arguments of `evaluate`


@dataclasses.dataclass(frozen=True)
class Block:
    """Environments on which the same policies are judged."""

    places: tuple[Place, ...]
    policies: tuple[Policy, ...]
    rows: tuple[Row, ...]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Axes, and what they are axes of.

    Attributes:
        dimensions: in the order they were given.
        policies: as given, without the values of axes.
        fits: rules that are fitted in every environment.
        environments: traces or scenarios by name; the one called "" where there is no
            such axis.
        costs: costs, several by name, or a function of the number of exits and the cost
            axes; None with scenarios.
        held_out: by name of an environment what rules are fitted on.
    """

    dimensions: tuple[Dimension, ...]
    policies: tuple[Policy, ...]
    fits: tuple[Fit, ...]
    environments: Mapping[str, Trace | Scenario]
    costs: AnyCosts
    held_out: Mapping[str, Trace]

    @property
    def axes(self) -> list[Axis]:
        """All axes, those that vary together too."""
        return [axis for one in self.dimensions for axis in one.axes]

    @property
    def labels(self) -> list[str]:
        """What the policies are called, whatever the values of their axes."""
        return [one.label for one in (*self.policies, *self.fits)]

    @property
    def without(self) -> dict[str, list[str]]:
        """By axis of policies, the labels of those that have no such number."""
        return {
            axis.name: [
                *(one.label for one in self.policies if not axis.is_for(one)),
                *(one.label for one in self.fits),
            ]
            for axis in self.axes
            if axis.kind == "policy"
        }

    def blocks(self, baseline: str) -> Iterator[Block]:
        """Yields all cells.

        Policies are the same in all environments, but where their numbers vary together
        with the environment's, or where rules are fitted.

        Args:
            baseline: label of the policy that others are compared with.
        """
        shared = [x for x in self.dimensions if x.of_policies and x.of_environment]
        for values in itertools.product(*(one.values for one in shared)):
            fixed = {x.name: value for x, value in zip(shared, values, strict=True)}
            numbers = {
                axis.name: value
                for one in shared
                for axis, value in one.at(fixed[one.name])
            }
            places = tuple(self._places(fixed))
            if not self.fits:
                yield self._block(places, numbers, baseline)
                continue
            for place in places:
                yield self._block((place,), numbers, baseline)

    def values_at(self, block: Block, place: Place, policy: Policy) -> dict[str, Any]:
        """Returns the values of the axes that a policy has somewhere, by name.

        Args:
            block: of the policy.
            place: one of the block.
            policy: one of the block's.
        """
        row = next(one for one in block.rows if one.label == policy.label)
        given = [*self.policies, *self.fits][row.policy]
        where = {**row.where, **place.where}
        return {
            axis.name: axis.values[where[one.name]]
            for one in self.dimensions
            for axis in one.axes
            if axis.kind == "trace"
            or (isinstance(given, Policy) and axis.is_for(given))
        }

    def num_cells(self) -> int:
        """How many combinations of values there are."""
        return math.prod(len(one.values) for one in self.dimensions)

    def num_places(self) -> int:
        """How many environments there are."""
        return math.prod(len(x.values) for x in self.dimensions if x.of_environment)

    def num_evaluations(self) -> int:
        """How many policies are replayed, over all environments."""
        own = [one for one in self.dimensions if not one.of_environment]
        variants = len(self.fits) + sum(
            math.prod(
                len(one.values)
                for one in own
                if any(axis.is_for(policy) for axis in one.axes)
            )
            for policy in self.policies
        )
        return self.num_places() * variants

    def _places(self, fixed: Mapping[str, Any]) -> Iterator[Place]:
        """Yields the environments at fixed points of some dimensions."""
        varying = [one for one in self.dimensions if one.of_environment]
        points = [
            [(i, v) for i, v in enumerate(one.values) if fixed.get(one.name, v) == v]
            for one in varying
        ]
        for chosen in itertools.product(*points):
            at, where, by_kind = {}, {}, {"costs": {}, "run": {}}
            name, costs_name = next(iter(self.environments)), ""
            for one, (number, value) in zip(varying, chosen, strict=True):
                at[one.name], where[one.name] = value, number
                for axis, own in one.at(value):
                    if axis.kind == "trace":
                        name = own
                    elif axis.kind == "named costs":
                        costs_name = own
                    elif axis.kind != "policy":
                        by_kind[axis.kind][axis.name] = own
            environment = self.environments[name]
            costs = self._costs(environment, costs_name, by_kind["costs"])
            yield Place(Scenario.of(environment, costs), at, where, by_kind["run"])

    def _block(
        self, places: tuple[Place, ...], numbers: Mapping[str, Any], baseline: str
    ) -> Block:
        """Returns environments with the policies of the first of them."""
        found: list[list[tuple[dict[str, int], Policy]]] = [
            [*self._variants(policy, numbers)] for policy in self.policies
        ]
        if self.fits:
            place = places[0]
            name = place.at.get("trace", next(iter(self.environments)))
            costs = place.scenario.first.costs
            held_out = self.held_out[name]
            found += [[({}, fit.at(held_out, costs))] for fit in self.fits]
        bases = found[self.labels.index(baseline)]
        rows = [
            Row(number, {**at, **of_base}, one.label, base.label)
            for number, variants in enumerate(found)
            for at, one in variants
            for of_base, base in bases
            if all(at[name] == of_base[name] for name in at.keys() & of_base.keys())
        ]
        # A fitted rule may have found what another one is.
        policies = {one.label: one for variants in found for _, one in variants}
        return Block(places, tuple(policies.values()), tuple(rows))

    def _variants(
        self, policy: Policy, numbers: Mapping[str, Any]
    ) -> Iterator[tuple[dict[str, int], Policy]]:
        """Yields a policy with every combination of its own axes' values, and where.

        Args:
            policy: as given.
            numbers: by axis those of this block, the same for all.
        """
        given = {
            axis.number: numbers[axis.name]
            for axis in self.axes
            if axis.name in numbers and axis.is_for(policy)
        }
        own = [
            one
            for one in self.dimensions
            if not one.of_environment and any(x.is_for(policy) for x in one.axes)
        ]
        for points in itertools.product(*(enumerate(one.values) for one in own)):
            at = {one.name: i for one, (i, _) in zip(own, points, strict=True)}
            pairs = [
                x
                for one, (_, value) in zip(own, points, strict=True)
                for x in one.at(value)
            ]
            new = {axis.number: value for axis, value in pairs if axis.is_for(policy)}
            new = {**given, **new}
            if not new:
                yield at, policy
                continue
            with_new = {**policy.numbers, **new}
            make = functools.partial(make_policy, policy.name, **with_new)
            yield at, made_at(new, make)

    def _costs(
        self, environment: Trace | Scenario, name: str, numbers: Mapping[str, Any]
    ) -> Costs | None:
        costs = self.costs
        if costs is None or isinstance(costs, Costs):
            return costs
        if isinstance(costs, Mapping):
            return costs[name]
        assert isinstance(environment, Trace)
        found = made_at(numbers, lambda: costs(environment.num_exits, **numbers))
        if not isinstance(found, Costs):
            raise JsplitError(
                f"costs must return a jsplit.Costs, got {type(found).__name__}"
            )
        return found


def make_grid(
    trace: Trace | Scenario | Mapping[str, Trace | Scenario],
    policies: Sequence[Policy],
    costs: AnyCosts,
    over: Over,
    fits: Sequence[Fit] = (),
    held_out: float = 0.0,
    seed: int = 0,
) -> Grid:
    """Returns the grid that the arguments of `sweep` describe.

    Raises:
        JsplitError: if an axis is empty, repeats a value or belongs to nothing, or if
            what it belongs to is not of a kind that has axes.
    """
    given = dict(trace) if isinstance(trace, Mapping) else {"": trace}
    environments = {str(name): one for name, one in given.items()}
    _check_environments(trace, environments, costs)
    dimensions = make_dimensions(over, policies, costs)
    if isinstance(costs, Mapping):
        named = Axis("costs", tuple(map(str, costs)), "named costs")
        dimensions.insert(0, Dimension((named,)))
        costs = {str(name): one for name, one in costs.items()}
    if isinstance(trace, Mapping):
        named = Axis("trace", tuple(environments), "trace")
        dimensions.insert(0, Dimension((named,)))
    labels = [one.label for one in (*policies, *fits)]
    for label in labels:
        if labels.count(label) > 1:
            raise JsplitError(
                f"policies and fit must all be different, got {label!r} twice"
            )
    fitted_on: dict[str, Trace] = {}
    if fits:
        parts = {name: cut(one, held_out, seed) for name, one in environments.items()}
        fitted_on = {name: part for name, (part, _) in parts.items()}
        environments = {name: judged for name, (_, judged) in parts.items()}
    grid = Grid(
        tuple(dimensions), tuple(policies), tuple(fits), environments, costs, fitted_on
    )
    size = grid.num_evaluations()
    if size > MAX_CELLS:
        raise JsplitError(f"over must span at most {MAX_CELLS:,} cells, got {size:,}")
    return grid


def made_at(numbers: Mapping[str, Any], make: Callable[[], T]) -> T:
    """Returns what is made of values of axes, or says at which they are refused."""
    try:
        return make()
    except JsplitError as error:
        where = ", ".join(f"{name}={checks.shown(v)}" for name, v in numbers.items())
        raise JsplitError(f"{error} (at {where})" if where else str(error)) from None


def _check_environments(
    trace: Any, environments: Mapping[str, Any], costs: AnyCosts
) -> None:
    kinds = {type(one) for one in environments.values()}
    if not kinds or not kinds <= {Trace, Scenario}:
        raise JsplitError(
            "trace must be a jsplit.Trace or a dict of them by name, or scenarios in "
            f"their place, got {checks.shown(trace)}"
        )
    if len(kinds) > 1:
        raise JsplitError(
            "trace must hold traces or scenarios, got both: make the traces scenarios "
            'of one condition, jsplit.Scenario({"": (trace, costs)})'
        )
    if kinds == {Scenario}:
        if costs is not None:
            raise JsplitError(
                "costs must not be given with scenarios, whose conditions have their "
                "own"
            )
        return
    if isinstance(costs, Mapping):
        good = bool(costs) and all(isinstance(one, Costs) for one in costs.values())
    else:
        good = isinstance(costs, Costs) or callable(costs)
    if not good:
        raise JsplitError(
            "costs must be a jsplit.Costs or a function such as jsplit.Costs.splitee, "
            f"or several costs by name, got {checks.shown(costs)}"
        )
