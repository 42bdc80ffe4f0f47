"""The best cells of a sweep again, on fresh replicas.

Here: which cells, and the replay. Not here: the table of first and fresh estimates
(`results.confirmed`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jsplit import checks
from jsplit.engine import streams
from jsplit.results.assembly import Part
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.settings import DIFFERENCE, OWN
from jsplit.results.summary import is_higher_better
from jsplit.sweeps.plan import Plan
from jsplit.sweeps.tasks import tasks_of
from jsplit.sweeps.work import Work
from jsplit.types import JsplitError

FRESH = (*OWN, *DIFFERENCE)


def checked(confirm: Mapping[str, int] | None) -> tuple[str, int] | None:
    """Returns the metric and how many cells of the best are confirmed.

    Raises:
        JsplitError: if this is not one metric and a number of cells.
    """
    if confirm is None:
        return None
    if not isinstance(confirm, Mapping) or len(confirm) != 1:
        raise JsplitError(
            "confirm must be a number of cells by the metric they are the best in, "
            f"such as {{'reward': 3}}, got {checks.shown(confirm)}"
        )
    ((metric, top),) = confirm.items()
    checks.choice("confirm", metric, PER_REPLICA)
    return metric, checks.integer(f"confirm of {metric}", top, 1, 1000)


def run_again(
    plan: Plan,
    parts: Sequence[Part],
    metric: str,
    top: int,
    used: int,
    work: Work,
) -> list[Part]:
    """Returns the parts with the fresh estimates of the best cells, NaN elsewhere.

    The best are those of all policies together, but of those that see what no real
    policy can and of the baseline, each with as many fresh replicas as a cell had at
    most.

    Args:
        plan: of the sweep.
        parts: of the sweep, one for every task or block.
        metric: what is best.
        top: how many cells, >= 1.
        used: replicas of a cell at most; fresh ones come after these.
        work: does tasks.
    """
    places = {
        tuple(place.where.items()): (block, place)
        for block in plan.blocks
        for place in block.places
    }
    hidden = {n for n, one in enumerate(plan.grid.policies) if one.privileged}
    hidden.add(plan.grid.labels.index(plan.baseline))
    sign = -1 if is_higher_better(metric) else 1
    means = {
        (number, i, row.label): sign
        * part.kept["mean"][i, j, PER_REPLICA.index(metric)]
        for number, part in enumerate(parts)
        for i in range(len(part.where))
        for j, row in enumerate(part.rows)
        if row.policy not in hidden
    }
    fresh = [
        {f"fresh_{name}": np.full_like(part.kept["mean"], np.nan) for name in FRESH}
        for part in parts
    ]
    # A test set is run whole.
    begin = plan.how["first_replica"] + -(-used // streams.ORDERS) * streams.ORDERS
    jobs = []
    for number, i, label in sorted(means, key=lambda one: means[one])[:top]:
        part = parts[number]
        block, place = places[tuple(part.where[i].items())]
        rows = [j for j, row in enumerate(part.rows) if row.label == label]
        chosen = [part.rows[j] for j in rows]
        needed = {label, *(row.baseline for row in chosen)}
        policies = [one for one in block.policies if one.label in needed]
        run = plan.run(place, first_replica=begin, num_replicas=used)
        (task,) = tasks_of([(place, run)], policies, chosen)
        jobs.append((task, number, i, rows))
    of_task = {id(task): job for task, *job in jobs}
    for task, chunk in work([task for task, *_ in jobs]):
        number, i, rows = of_task[id(task)]
        for name in FRESH:
            fresh[number][f"fresh_{name}"][i, rows] = chunk[name].values[0]
    return [
        part._replace(kept={**part.kept, **new})
        for part, new in zip(parts, fresh, strict=True)
    ]
