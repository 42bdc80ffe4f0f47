"""What the same decisions cost in other units: latency, energy, money; means and tails.

Here: from how often each (condition, plan, exit) was visited to bills, and what they
are called in a result. Not here: prices (`environment`). A decision takes one of few
exits. So a replica's visits hold its whole distribution of costs, and any other costs
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

    mean: np.ndarray  # [R]
    quantiles: np.ndarray  # [len(QUANTILES), R]
    late: np.ndarray  # [R] share of the steps above the deadline, NaN without one


class Charges(NamedTuple):
    """What is charged to every decision, checked."""

    costs: dict[str, list[list[Costs]]]  # by bill, condition and route
    deadlines: dict[str, float]  # by bill


def checked(
    bills: Mapping[str, BillCosts] | None,
    deadlines: Mapping[str, float] | None,
    scenario: Scenario,
    taken: Sequence[str] = (),
) -> Charges | None:
    """Returns the costs of every bill by condition and route, and every deadline.

    None if neither bills nor deadlines are given.

    The first bill, called "cost", holds the costs that policies learn with.

    Args:
        bills: as for `evaluate`.
        deadlines: as for `evaluate`.
        scenario: what they are for.
        taken: names that no bill may have.

    Raises:
        JsplitError: if costs do not fit the scenario or a deadline names no bill.
    """
    if bills is None and not deadlines:
        return None
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
    return Charges(found, late)


def charge(visits: np.ndarray, plans: Plan, charges: Charges) -> dict[str, Bill]:
    """Returns what replicas pay for their visits, by bill.

    Args:
        visits: [R, M * K * (L + 1)] how often each plan took each exit under each
            condition.
        plans: K plans.
        charges: costs and deadlines.
    """
    return {
        name: _bill(visits, plans, costs, charges.deadlines.get(name))
        for name, costs in charges.costs.items()
    }


def _bill(
    visits: np.ndarray,
    plans: Plan,
    costs: Sequence[Sequence[Costs]],
    deadline: float | None,
) -> Bill:
    """Returns what replicas pay under one kind of costs.

    Args:
        visits: [R, M * K * (L + 1)] how often each plan took each exit under each
            condition.
        plans: K plans.
        costs: by condition and route.
        deadline: a step that costs more, by more than rounding, is late; None for no
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
    late = np.full(len(visits), np.nan)
    if deadline is not None:
        is_late = prices > deadline * (1 + 1e-12)
        late = visits[:, is_late].sum(1) / steps[:, 0]
    return Bill(visits @ prices / steps[:, 0], quantiles, late)


def variables(charged: Mapping[str, Mapping[str, Bill]]) -> dict[str, Any]:
    """Returns the variables of what replicas paid, by policy and bill."""
    if not any(charged.values()):
        return {}

    def stacked(field: str) -> np.ndarray:
        rows = [[getattr(b, field) for b in one.values()] for one in charged.values()]
        return np.array(rows)

    one = ("policy", "bill", "replica")
    tail = ("policy", "bill", "quantile", "replica")
    return {
        "bill_mean": (one, stacked("mean"), {"long_name": "mean bill"}),
        "bill_quantile": (
            tail,
            stacked("quantiles"),
            {"long_name": "cost that a share of the steps does not exceed"},
        ),
        "bill_late": (
            one,
            stacked("late"),
            {"long_name": "steps above the deadline", "units": "fraction"},
        ),
    }


def attributes(charges: Charges | None) -> dict[str, str]:
    """Returns costs and deadlines of every bill, as stored in a result's attributes."""
    if charges is None:
        return {"deadlines": "{}"}
    told = {
        name: [[costs.numbers for costs in routes] for routes in by_condition]
        for name, by_condition in charges.costs.items()
        if name != OWN  # stored as those of the result
    }
    return {"bills": json.dumps(told), "deadlines": json.dumps(charges.deadlines)}


def costs_of(attributes: Mapping[str, Any]) -> dict[str, list[list[Costs]]]:
    """Returns the costs in a result's attributes, by bill, condition and route."""
    told = json.loads(attributes.get("bills", "{}"))
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
            found[bill] = bill, "bill_mean", None
        for q in QUANTILES[1:]:
            found[f"{bill}_p{100 * q:.0f}"] = bill, "bill_quantile", q
        if bill in deadlines:
            found[f"{bill}_late"] = bill, "bill_late", None
    return found


def is_quantile(metric: str) -> bool:
    """Tells whether a metric of bills is a quantile over the steps, not a mean."""
    return metric.endswith(tuple(f"_p{100 * q:.0f}" for q in QUANTILES[1:]))


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
