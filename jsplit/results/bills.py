"""What the same decisions cost in other units: latency, energy, money; means and tails.

Here: from how often each (condition, plan, exit) was visited to bills, and what they
are called in a result. Called by `evaluate` and `results`. A decision takes one of few
exits, so a replica's visits hold its whole distribution of costs, and any other costs
can be charged to it afterwards, exactly.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jsplit import checks
from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.types import JsplitError, Plan

QUANTILES = (0.5, 0.95, 0.99)
OWN = "cost"  # the bill that is the costs a policy learns with

BillCosts = Costs | Sequence[Costs | Sequence[Costs]]


class Bill(NamedTuple):
    """What a policy's replicas paid under one kind of costs."""

    unit: str
    mean: np.ndarray  # [R]
    quantiles: np.ndarray  # [len(QUANTILES), R]
    missed: np.ndarray  # [R] share of the steps above the deadline, NaN without one


def checked(
    bills: Mapping[str, BillCosts] | None,
    deadlines: Mapping[str, float] | None,
    scenario: Scenario,
    taken: Sequence[str] = (),
) -> tuple[dict[str, list[list[Costs]]], dict[str, float]]:
    """Returns the costs of every bill by condition and route, and every deadline.

    The first bill, called "cost", holds the costs that policies learn with.

    Args:
        bills: as for `evaluate`.
        deadlines: as for `evaluate`.
        scenario: what they are for.
        taken: names that no bill may have.

    Raises:
        JsplitError: if costs do not fit the scenario or a deadline names no bill.
    """
    conditions = scenario.conditions.values()
    own = [[route.costs for route in one.all_routes] for one in conditions]
    found = {OWN: own}
    bills = {} if bills is None else bills
    deadlines = {} if deadlines is None else deadlines
    for what, kind, values in (
        ("bills", "costs", bills),
        ("deadlines", "numbers", deadlines),
    ):
        if not isinstance(values, Mapping):
            raise JsplitError(
                f"{what} must be a dict of {kind} by name, got {checks.shown(values)}"
            )
    for name, given in bills.items():
        if name == OWN or name in taken:
            raise JsplitError(
                f"bills must not be called {name!r}: every result has a metric of that "
                "name"
            )
        found[str(name)] = _by_condition(str(name), given, own)
    late = {}
    for name, deadline in deadlines.items():
        name = checks.choice("deadlines", name, found)
        late[name] = checks.number(f"deadline of {name}", deadline, 0.0)
    return found, late


def charge(
    visits: np.ndarray,
    plans: Plan,
    costs: Sequence[Sequence[Costs]],
    deadline: float | None,
) -> Bill:
    """Returns what replicas pay for their visits.

    Args:
        visits: [R, M * K * (L + 1)] how often each plan took each exit under each
            condition.
        plans: K plans.
        costs: by condition and route.
        deadline: a step that costs more is missed, by more than rounding; None for no
            deadline.
    """
    with jax.enable_x64(True):
        prices = [outcomes.costs_by_route(plans, by_route) for by_route in costs]
    prices = np.stack(prices).reshape(-1)
    order = np.argsort(prices, kind="stable")
    steps = visits.sum(1, keepdims=True)
    share = np.cumsum(visits[:, order], axis=1, dtype=np.float64) / steps
    # The smallest cost that at least a share q of the steps do not exceed.
    ranks = [(share < q - 1e-12).sum(1) for q in QUANTILES]
    quantiles = np.stack([prices[order][np.minimum(r, prices.size - 1)] for r in ranks])
    missed = np.full(len(visits), np.nan)
    if deadline is not None:
        late = prices > deadline * (1 + 1e-12)
        missed = visits[:, late].sum(1) / steps[:, 0]
    return Bill(costs[0][0].unit, visits @ prices / steps[:, 0], quantiles, missed)


def variables(charged: Mapping[str, Mapping[str, Bill]]) -> dict[str, Any]:
    """Returns the variables of what replicas paid, by policy and bill."""
    if not charged:
        return {}

    def stacked(field: str) -> np.ndarray:
        rows = [[getattr(b, field) for b in one.values()] for one in charged.values()]
        return np.array(rows)

    one = ("policy", "bill", "replica")
    tail = ("policy", "bill", "quantile", "replica")
    return {
        "billed": (one, stacked("mean"), {"long_name": "mean bill"}),
        "bill_quantile": (
            tail,
            stacked("quantiles"),
            {"long_name": "cost that a share of the steps does not exceed"},
        ),
        "missed": (
            one,
            stacked("missed"),
            {"long_name": "steps above the deadline", "units": "fraction"},
        ),
    }


def attributes(
    billed: Mapping[str, Sequence[Sequence[Costs]]] | None,
) -> dict[str, str]:
    """Returns the costs of every bill as stored in a result's attributes."""
    if billed is None:
        return {}
    told = {
        name: [[costs.numbers for costs in routes] for routes in by_condition]
        for name, by_condition in billed.items()
        if name != OWN  # stored as those of the result
    }
    return {"bills": json.dumps(told)}


def costs_of(result: Any) -> dict[str, list[list[Costs]]]:
    """Returns the costs of a result's bills, by name, condition and route.

    As `evaluate(bills=...)` takes them; without the bill "cost", which is the costs
    that policies learned with.

    Args:
        result: from `evaluate`.

    Example:
        >>> import jsplit
        >>> trace = jsplit.Trace.from_arrays([[0.6, 0.9]] * 3, correct=[[0, 1]] * 3)
        >>> energy = Costs([1.0, 2.0], unit="mJ")
        >>> result = jsplit.evaluate(
        ...     trace, ["final_exit"], Costs.splitee(2), bills={"energy": energy}
        ... )
        >>> costs_of(result)["energy"][0][0].unit
        'mJ'
    """
    told = json.loads(result.attrs.get("bills", "{}"))
    return {
        name: [[Costs(**numbers) for numbers in routes] for routes in by_condition]
        for name, by_condition in told.items()
    }


def metrics(result: Any) -> dict[str, tuple[str, str, float | None]]:
    """Returns bill, variable and quantile of every metric of bills in a result."""
    if "bill" not in result.coords:
        return {}
    deadlines = json.loads(result.attrs["deadlines"])
    return metrics_of(map(str, result["bill"].values), deadlines)


def metrics_of(
    names: Iterable[str], deadlines: Iterable[str]
) -> dict[str, tuple[str, str, float | None]]:
    """Returns bill, variable and quantile of every metric that these bills will have.

    Args:
        names: of the bills, "cost" among them.
        deadlines: names of those with a deadline.
    """
    found: dict[str, tuple[str, str, float | None]] = {}
    for bill in names:
        if bill != OWN:
            found[bill] = bill, "billed", None
        for q in QUANTILES[1:]:
            found[f"{bill}_p{100 * q:.0f}"] = bill, "bill_quantile", q
        if bill in deadlines:
            found[f"{bill}_late"] = bill, "missed", None
    return found


def _by_condition(name: str, given: Any, own: list[list[Costs]]) -> list[list[Costs]]:
    """Returns a bill's costs by condition and route, checked against `own`."""
    by_condition = [given] * len(own) if isinstance(given, Costs) else given
    fits = isinstance(by_condition, Sequence) and len(by_condition) == len(own)
    rows = []
    if fits:
        for one, routes in zip(by_condition, own, strict=True):
            row = [one] * len(routes) if isinstance(one, Costs) else one
            fits &= isinstance(row, Sequence) and len(row) == len(routes)
            rows.append(row)
    if not fits:
        raise JsplitError(
            f"bill {name!r} must hold one Costs, or one per condition ({len(own)}) and "
            f"route ({len(own[0])}), got {checks.shown(given)}"
        )
    for row in rows:
        for costs in row:
            if not isinstance(costs, Costs) or costs.num_exits != own[0][0].num_exits:
                raise JsplitError(
                    f"bill {name!r} must hold costs for {own[0][0].num_exits} exits, "
                    f"got {checks.shown(costs)}"
                )
    return rows
