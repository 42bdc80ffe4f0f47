"""A grid of settings, each answered as `evaluate` would.

Here: `sweep`. All policies of an environment are replayed over the same streams, and
environments of equal length share them too, so differences between cells are paired.
Not here: axes (`grid`), pieces of work (`tasks`), who does them (`work`), files
(`chunks`), what is made of the numbers (`results.runs`).
"""

import concurrent.futures
import os
from collections.abc import Mapping, Sequence
from typing import Any

from jsplit.engine import streams
from jsplit.engine.settings import Keep, Run
from jsplit.environment.costs import Costs
from jsplit.evaluation.evaluate import NUM_CHECKPOINTS, chosen_policies, make_run
from jsplit.policies.base import Policy
from jsplit.policies.registry import policy_family
from jsplit.progress import counted
from jsplit.results.runs import Runs, assemble
from jsplit.results.summary import chosen_baseline
from jsplit.sweeps.chunks import Folder, description_of, index_of
from jsplit.sweeps.grid import MakeCosts, Place, make_grid
from jsplit.sweeps.shares import job_share, own_devices, share_of
from jsplit.sweeps.tasks import tasks_of
from jsplit.sweeps.work import work_off
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol


def sweep(
    trace: Trace | Mapping[str, Trace],
    policies: Sequence[str | Policy],
    costs: Costs | MakeCosts,
    over: Mapping[str, Sequence[Any]],
    *,
    baseline: str | None = None,
    num_replicas: int = 1024,
    first_replica: int = 0,
    stream: streams.Kind = "shuffle",
    horizon: int | None = None,
    protocol: str | Protocol = "paper",
    seed: int = 0,
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
            the axis "trace".
        policies: names, labels or policies from `make_policy`, all different.
        costs: costs for the L exits, or a function of the number of exits whose other
            arguments may be axes, such as `Costs.splitee`.
        over: values by axis. An axis is an argument of `costs` ("offload"), a number of
            policies ("alpha"; "splitee.alpha" for one of them), or "horizon",
            "protocol" or "stream".
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
        to the baseline, with their errors; see `Runs`.

    Raises:
        JsplitError: if an argument is out of its range, an axis belongs to nothing, or
            `out` holds another sweep.

    Example:
        >>> import jsplit
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = jsplit.Trace.from_arrays(confidence, correct=correct)
        >>> over = {"offload": [0.1, 0.5], "alpha": [0.6, 0.8]}
        >>> runs = sweep(trace, ["fixed_split", "final_exit"], Costs.splitee, over)
        >>> runs["mean"].sel(policy="final_exit", metric="cost").values.round(3)
        array([[0.18, 0.18],
               [0.18, 0.18]])
    """
    chosen = chosen_policies(policies)
    labels = [policy.label for policy in chosen]
    baseline = chosen_baseline(baseline, labels)
    base = chosen[labels.index(baseline)]
    grid = make_grid(trace, chosen, costs, over)
    how = {
        "num_replicas": num_replicas,
        "first_replica": first_replica,
        "stream": stream,
        "horizon": horizon,
        "protocol": Protocol.named(protocol),
        "seed": seed,
    }
    places = [(place, _run(place, how, block_size, devices)) for place in grid.places()]
    if "://" in str(out):
        raise JsplitError(
            f"out must be a folder, got {str(out)!r}: object stores are not supported; "
            "sweep into a folder and copy it"
        )
    folder = Folder(out, description_of(grid, baseline=baseline, **how))
    rows = grid.rows(base)
    policies_here = [one for policy in chosen for _, one in grid.variants(policy)]
    tasks = [*tasks_of(places, policies_here, rows)]
    axes = {axis.name: axis.values for axis in grid.axes}
    about = {
        "privileged": [policy.label for policy in chosen if policy.privileged],
        "families": {policy.label: policy_family(policy.name) for policy in chosen},
    }
    folder.list_parts({**index_of(axes, labels, rows, tasks), "about": about})
    tasks = job_share(tasks, out) if shard is None else share_of(tasks, shard)
    parts = []
    total = sum(task.num_replicas for task in tasks)
    with counted("sweeping", total, show=progress, unit="replicas") as count:
        for task, chunk in work_off(tasks, folder, count, executor):
            parts.append(([place.at for place in task.places], chunk))
    return assemble(
        axes,
        labels,
        rows,
        parts,
        baseline,
        **about,
    )


def _run(
    place: Place, how: Mapping[str, Any], block_size: int | None, devices: Any
) -> Run:
    """Returns how the replicas of an environment are run, checked."""
    return make_run(
        place.scenario,
        **{**how, **place.run},
        num_checkpoints=NUM_CHECKPOINTS,  # as `evaluate`, for the same bits
        checkpoints=None,
        keep=Keep(),
        block_size=block_size,
        devices=own_devices() if devices is None else devices,
    )
