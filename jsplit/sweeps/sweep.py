"""A grid of settings, each answered as `evaluate` would.

Here: `sweep`. All policies of an environment are replayed over the same streams, and
environments of equal length share them too, so differences between cells are paired.
Not here: axes (`grid`), pieces of work (`tasks`), who does them (`work`), files
(`chunks`), what is made of the numbers (`results.runs`).
"""

import concurrent.futures
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from jsplit.engine import streams
from jsplit.environment.scenario import Scenario
from jsplit.policies.base import Policy
from jsplit.policies.registry import policy_family
from jsplit.progress import Count, counted
from jsplit.results.assembly import Part, assemble, part_of
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.runs import Runs
from jsplit.results.settings import OWN
from jsplit.stats.student import Estimate, t_interval
from jsplit.sweeps.axes import AnyCosts, Over
from jsplit.sweeps.chunks import Folder, description_of, index_of
from jsplit.sweeps.confirm import checked, run_again
from jsplit.sweeps.fits import HELD_OUT, Rule
from jsplit.sweeps.plan import Plan, check_room, make_plan
from jsplit.sweeps.rounds import LEVEL, enough, run_rounds
from jsplit.sweeps.shares import job_share, own_devices, share_of
from jsplit.sweeps.tasks import Task, tasks_of
from jsplit.sweeps.work import Done, work_off
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol


def sweep(
    trace: Trace | Scenario | Mapping[str, Trace | Scenario],
    policies: Sequence[str | Policy],
    costs: AnyCosts = None,
    over: Over = MappingProxyType({}),
    *,
    fit: Sequence[str] | Mapping[str, str | Rule] = (),
    held_out: float = HELD_OUT,
    baseline: str | None = None,
    num_replicas: int = 1024,
    first_replica: int = 0,
    stream: streams.Kind = "shuffle",
    horizon: int | None = None,
    protocol: str | Protocol = "paper",
    seed: int = 0,
    until: Mapping[str, float] | None = None,
    max_replicas: int = 65_536,
    race: str | None = None,
    by: Sequence[str] = (),
    confirm: Mapping[str, int] | None = None,
    keep: Literal["replicas"] | None = None,
    out: str | os.PathLike[str] | None = None,
    block_size: int | None = None,
    devices: Sequence[Any] | None = None,
    executor: concurrent.futures.Executor | None = None,
    shard: tuple[int, int] | None = None,
    progress: bool = False,
) -> Runs:
    """Evaluates policies for every combination of settings.

    Every cell has the numbers that `evaluate` gives for it alone. No program is
    compiled for another number, only for another structure (a policy, a window's
    length, the number of samples or steps).

    A policy that has no number of an axis, or was given one such as
    "splitee(alpha=0.6)", is run once and shown at every value. Replica r has the same
    order of samples in every cell with as many samples, so differences between cells
    are paired.

    Args:
        trace: what the network says at every exit, or several by name, which are then
            the axis "trace". A `Scenario` in place of every trace has its own costs.
        policies: names, labels or policies from `make_policy`, all different.
        costs: costs for the L exits; several by name, which are then the axis "costs";
            or a function of the number of exits whose other arguments may be axes, such
            as `Costs.splitee`, or one of yours that makes a `Profile` and returns its
            costs. None with scenarios.
        over: values by axis. An axis is an argument of `costs` ("offload"), a number of
            policies ("alpha"; "splitee.alpha" for one of them), or "horizon",
            "protocol" or "stream". Axes that vary together are one entry,
            ("offload", "alpha"): [(0.1, 0.6), (0.2, 0.7)]; draws of them come from
            `jsplit.random_axes`. `numpy.linspace` and `numpy.geomspace` make ranges.
        fit: rules that are fitted anew in every environment (trace and costs), such as
            ["best_split", "budget_cascade(budget=0.3)"], or by label functions of a
            held-out trace and costs that return a policy. All policies are then judged
            on the samples that were not held out.
        held_out: share of the samples that `fit` uses, drawn with the seed, in (0, 1).
        baseline: label of the policy that others are compared with, at the same values
            of its axes; by default final_exit, or the first policy where that is not
            among them.
        num_replicas: R >= 1 replicas per cell.
        first_replica: number of the first one, >= 0. Other replicas are fresh ones: run
            the winners again with these before they are reported.
        stream: as for `evaluate`, and so are the arguments below but `out`.
        horizon: see there.
        protocol: see there.
        seed: see there.
        until: wanted half-widths of 95 % intervals by metric, {"cost": 0.001}, or of
            the difference to the baseline, {"difference_cost": 0.001}. Replicas run in
            rounds of 256, 256, 512 and so on, and a cell stops when its half-widths are
            reached, or at `max_replicas`.
        max_replicas: of a cell, with `until`, >= 256.
        race: metric to find the best cell in. Replicas run in rounds up to
            `num_replicas`; after each one, cells that are surely worse than the leader
            stop. The best cell is lost with a probability of 5 % at most, see
            `sweeps.racing`.
        by: axes (none of policies) at each of whose values there is a race of its own.
        confirm: how many of the best cells, by metric, are run again on fresh replicas,
            {"reward": 3}; see `Runs.confirmed`. The baseline and privileged policies
            are not among them.
        keep: "replicas" keeps the values of all replicas in all metrics, 56 bytes for
            each of a policy in a cell. Any two cells can then be compared replica by
            replica; see `Runs.replicas`, `Runs.interval` and `Runs.difference`.
        out: folder for finished parts; the same call goes on where it stopped. Parts
            that are damaged are set aside and computed again.
        block_size: see `evaluate`.
        devices: see there.
        executor: who replays, such as `jsplit.sweeps.Workers(4)`, a ProcessPoolExecutor
            whose processes are spawned, or `get_executor()` of a Dask client. None:
            this process.
        shard: (i, n) replays the i-th of n equal shares, 1 <= i <= n; cells of the
            others are NaN. `jsplit.sweeps.merge` puts folders of shares together.
        progress: show how far it is.

    Returns:
        Means over the replicas of every cell, policy and metric and of the differences
        to the baseline, with their errors; see `Runs`. With `until` or `race` also the
        number of `replicas` of each, and the attribute "replicas_saved".

    Raises:
        JsplitError: if an argument is out of its range, an axis belongs to nothing, or
            `out` holds another sweep.

    Example:
        >>> import jsplit
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = jsplit.Trace.from_arrays(confidence, correct=correct)
        >>> over = {"offload": [0.1, 0.5], "alpha": [0.6, 0.8]}
        >>> costs = jsplit.Costs.splitee
        >>> runs = sweep(trace, ["fixed_split", "final_exit"], costs, over)
        >>> runs["mean"].sel(policy="final_exit", metric="cost").values.round(3)
        array([[0.18, 0.18],
               [0.18, 0.18]])
    """
    plan = make_plan(
        trace,
        policies,
        costs,
        over,
        fit=fit,
        held_out=held_out,
        baseline=baseline,
        num_replicas=num_replicas,
        first_replica=first_replica,
        stream=stream,
        horizon=horizon,
        protocol=protocol,
        seed=seed,
        block_size=block_size,
        devices=own_devices() if devices is None else devices,
        keep=keep,
    )
    grid = plan.grid
    rule = enough(plan, until, max_replicas, race, by)
    again = checked(confirm)
    if shard is not None and (rule is not None or again is not None):
        name = "confirm" if rule is None else "race" if race else "until"
        raise JsplitError(
            f"shard must be None with {name}, which looks at all cells, got {shard!r}"
        )
    if "://" in str(out):
        raise JsplitError(
            f"out must be a folder, got {str(out)!r}: object stores are not supported; "
            "sweep into a folder and copy it"
        )
    most = rule.most if rule else num_replicas
    check_room(plan, most)
    told = {"until": until, "max_replicas": max_replicas, "race": race, "by": [*by]}
    about = {**plan.how, "keep": keep, **(told if rule else {})}
    if plan.grid.fits:
        about["held_out"] = held_out
    folder = Folder(out, description_of(grid, baseline=plan.baseline, **about))
    dimensions = {x.name: {y.name: y.values for y in x.axes} for x in grid.dimensions}
    attrs = {
        "baseline": plan.baseline,
        "privileged": [one.label for one in grid.policies if one.privileged],
        "families": {
            **{one.label: policy_family(one.name) for one in grid.policies},
            **{one.label: "fitted" for one in grid.fits},
        },
        "without": grid.without,
    }
    if rule is None:
        tasks = _tasks(plan)
        if out is not None:
            folder.list_parts(index_of(dimensions, grid.labels, attrs, tasks))
        tasks = job_share(tasks, out) if shard is None else share_of(tasks, shard)
        total = sum(task.num_replicas for task in tasks)
    else:
        tasks, total = [], grid.num_evaluations() * most
    with counted("sweeping", total, show=progress, unit="replicas") as count:
        work = functools.partial(
            work_off, folder=folder, count=count, executor=executor
        )
        if rule is None:
            parts = [*_parts(work(tasks), len(tasks), count)]
        else:
            parts, saved = run_rounds(plan, rule, work, count)
            attrs |= {"replicas_saved": saved, "replicas_at_most": total}
        if again is not None:
            parts = run_again(plan, parts, *again, most, work)
    return assemble(dimensions, grid.labels, parts, attrs)


def _parts(done: Iterator[Done], number: int, count: Count) -> Iterator[Part]:
    """Yields what is done, and says how far and how sharp it is."""
    widest = 0.0
    for finished, (task, chunk) in enumerate(done, 1):
        part = part_of([place.where for place in task.places], task.rows, chunk)
        at = PER_REPLICA.index("reward")
        own = Estimate(*(part.kept[name][..., at] for name in OWN))
        interval = t_interval(own, LEVEL)
        known = (interval.high - interval.low)[~np.isnan(interval.low)] / 2
        widest = np.max(known, initial=widest)
        sharp = f", rewards known to ±{widest:.2g}" if widest else ""
        count.advance(0, f"{finished} of {number} parts{sharp}")
        yield part


def _tasks(plan: Plan) -> list[Task]:
    """Returns the tasks of a sweep whose cells have equally many replicas."""
    return [
        task
        for block in plan.blocks
        for task in tasks_of(
            [(place, plan.run(place)) for place in block.places],
            block.policies,
            block.rows,
            plan.keep,
        )
    ]
