"""What a sweep would take: a short replay, and what follows from its speed.

Here: `forecast`. Not here: the sweep (`sweep`).
"""

import dataclasses
import time
from typing import NamedTuple

from jsplit.engine.settings import Run
from jsplit.sweeps.grid import Block
from jsplit.sweeps.replaying import replay_settings

MAX_STEPS = 2**24  # replica-steps of a short replay
MIN_REPLICAS = 8


class Forecast(NamedTuple):
    """About how long a sweep takes on this machine."""

    seconds: float
    num_replicas: int  # that it was measured on


def forecast(block: Block, run: Run, num_replicas: int) -> Forecast:
    """Replays every policy once at the first environment and goes on from its speed.

    Each is replayed twice. The first time tells how long it takes to compile, which
    happens once; the second time is what every replica takes. Compiled programs on disk
    and other lengths of runs are not foreseen.

    Args:
        block: of which the first environment is taken.
        run: how that is run.
        num_replicas: of all policies on all environments.
    """
    place = block.places[0]
    short = min(run.num_replicas, max(MIN_REPLICAS, MAX_STEPS // run.horizon))
    run = dataclasses.replace(run, num_replicas=short)
    compiling = replaying = 0.0
    # One of those that differ in numbers alone, which share their program.
    policies = {(one.name, one.selector): one for one in block.policies}
    for policy in policies.values():
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            replay_settings([place.scenario], [policy], run, lambda replicas: None)
            seconds.append(time.perf_counter() - start)
        compiling += max(seconds[0] - seconds[1], 0.0)
        replaying += seconds[1]
    each = replaying / (len(policies) * short)
    return Forecast(compiling + each * num_replicas, len(policies) * short)
