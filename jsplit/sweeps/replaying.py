"""The replicas of a task: settings of equal structure run in one program.

Here: which settings run together, and what every replica comes to. Not here: what is
kept of it (`results.chunk`), the program (`engine`).
"""

import concurrent.futures
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jsplit.engine import layout, shard
from jsplit.engine.midway import Midway
from jsplit.engine.schedule import make_schedule
from jsplit.engine.settings import Run
from jsplit.engine.sums import Replicas
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import Bound, Prepared, alike, bind, prepare
from jsplit.evaluation.evaluate import whole_passes
from jsplit.policies.base import Policy
from jsplit.results.metrics import PER_REPLICA, of_sums
from jsplit.results.ranges import possible_values

# Bytes for the tables and sums of settings that run together. Of several settings it
# holds far fewer cells than int32 numbers.
MEMORY = 2**27
AT_ONCE = 2  # groups of settings: one compiles while another runs
CELL_BYTES = 16  # of a plan on a sample, what is revealed and learned included


class Replayed(NamedTuple):
    """What every replica of some settings comes to, and what is known beforehand."""

    values: np.ndarray  # [scenario, policy, metric, replica] float64
    never_varies: np.ndarray  # [scenario, policy] bool: the same in every replica
    possible: np.ndarray  # [scenario, policy, metric, 2] ends of a step's range


def replay_settings(
    scenarios: Sequence[Scenario],
    policies: Sequence[Policy],
    run: Run,
    advance: Callable[[int], None],
    midway: Callable[[str], Midway] | None = None,
) -> Replayed:
    """Returns what every replica comes to.

    The numbers are those of `evaluate` for each policy and scenario alone.

    Args:
        scenarios: environments, of one length.
        policies: all of them in every environment.
        run: how the replicas are run.
        advance: called with the number of replicas finished.
        midway: gives the place where the state of some settings is kept, by what tells
            them from others here; None to keep none.

    Returns:
        values by metrics as in `PER_REPLICA`; ranges only of resampled test sets, which
        need them.
    """
    settings = [
        prepare(policy, one, run.protocol) for one in scenarios for policy in policies
    ]
    values = np.empty((len(settings), len(PER_REPLICA), run.num_replicas))
    never_varies = np.zeros(len(settings), bool)
    possible = np.tile([-np.inf, np.inf], (len(settings), len(PER_REPLICA), 1))

    def replay(group: list[int], advance: Callable[[int], None]) -> None:
        kept = None if midway is None else midway(_told(group))
        chosen = [settings[i] for i in group]
        values[group], never_varies[group] = _replayed(chosen, run, advance, kept)

    _overlapping(_groups(settings, run), replay, advance)
    if run.stream == "bootstrap":
        for i, one in enumerate(settings):
            known = possible_values(one.setting.plans, one.scenario, run.protocol)
            for j, metric in enumerate(PER_REPLICA):
                possible[i, j] = known.get(metric, possible[i, j])
    parts = values, never_varies, possible
    shape = len(scenarios), len(policies)
    return Replayed(*(part.reshape(*shape, *part.shape[1:]) for part in parts))


def _told(group: Sequence[int]) -> str:
    return hashlib.sha256(repr(group).encode()).hexdigest()[:8]


def _overlapping(
    groups: Sequence[list[int]],
    replay: Callable[[list[int], Callable[[int], None]], None],
    advance: Callable[[int], None],
) -> None:
    """Replays groups, `AT_ONCE` at a time, and stops all when one fails."""
    lock, stopped = threading.Lock(), threading.Event()
    precise = jax.config.jax_enable_x64  # type: ignore[attr-defined]

    def advance_unless_stopped(replicas: int) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        with lock:
            advance(replicas)

    def one(group: list[int]) -> None:
        with jax.enable_x64(precise):  # which JAX keeps apart for every thread
            replay(group, advance_unless_stopped)

    if len(groups) == 1:
        replay(groups[0], advance)
        return
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(one, group) for group in groups]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _groups(settings: Sequence[Prepared], run: Run) -> list[list[int]]:
    """Returns the numbers of settings that run together, as many as memory holds."""
    found = []
    for group in alike(settings):
        first = settings[group[0]]
        by_drift: dict[str, list[int]] = {}
        for i in group:
            drift = settings[i].scenario.drift
            by_drift.setdefault("" if drift is None else drift.label, []).append(i)
        num_rows = first.scenario.num_conditions * first.scenario.num_samples
        cells = num_rows * np.size(first.setting.plans.depth)
        size = layout.settings_that_fit(MEMORY, CELL_BYTES * cells, run)
        for same in by_drift.values():
            found += [same[at : at + size] for at in range(0, len(same), size)]
    return found


def _replayed(
    settings: Sequence[Prepared],
    run: Run,
    advance: Callable[[int], None],
    midway: Midway | None,
) -> tuple[np.ndarray, bool]:
    """Returns [setting, metric, replica], and whether replicas never vary.

    The settings have equal structure.
    """
    scenario = settings[0].scenario
    number = len(settings)
    # Few sizes are compiled; what is repeated is dropped.
    repeated = [settings[-1]] * (layout.padded(number) - number)
    bound = bind([*settings, *repeated])
    passes = whole_passes(scenario, run)
    constants = [one for one in bound.constants[:number] if one is not None]
    never_varies = bool(passes and constants)
    if never_varies:
        sums = [one.at_the_end(passes, run) for one in constants]
        advance(number * run.num_replicas)
    else:
        sums = _run(bound, scenario, run, number, advance, midway)
    mus = (one.scenario.first.costs.mu for one in settings)
    values = [of_sums(one, run.horizon, mu) for one, mu in zip(sums, mus, strict=True)]
    return np.stack(values), never_varies


def _run(
    bound: Bound,
    scenario: Scenario,
    run: Run,
    number: int,
    advance: Callable[[int], None],
    midway: Midway | None,
) -> list[Replicas]:
    """Returns the sums of the first `number` settings, the others being repeated."""
    chain = scenario.chain(run.horizon)
    schedule = make_schedule(run, scenario.num_samples, *(chain or (None, None)))
    told = done = 0

    def advance_own(replicas: int) -> None:
        nonlocal told, done
        done += replicas
        now = done * number // len(bound.policies)
        more, told = now - told, now
        advance(more)

    sums = shard.run_replicas(
        bound.selector,
        bound.params,
        bound.tables,
        schedule,
        run,
        advance=advance_own,
        midway=midway,
    )
    return [jax.tree.map(lambda leaf: leaf[s], sums) for s in range(number)]  # noqa: B023
