"""The memory that replays take on the host, told before they run.

Here: `check_room`. Copies are counted: what comes from the devices, what is put in
order and what becomes a result are there at the same time.
"""

from collections.abc import Sequence

import numpy as np

from jsplit import memory
from jsplit.engine.settings import Run
from jsplit.evaluation.binding import Prepared

COPIES = 3
OF_CHECKPOINT = 20  # bytes: two regrets in float64, a count in int32
OF_REPLICA = 64
OF_STEP = 8  # bytes: a sample and a plan in int32


def check_room(prepared: Sequence[Prepared], run: Run) -> None:
    """Raises if the replicas of some policies take more memory than there is.

    Args:
        prepared: the policies on their scenario.
        run: how they are run.

    Raises:
        JsplitError: if they do, with the numbers that cause it.
    """
    each = sum(_bytes(one, run) for one in prepared)
    factors = [
        f"{run.num_replicas:,} replicas",
        f"{len(prepared)} policies",
        f"{len(run.checkpoints):,} checkpoints",
    ]
    if run.keep.steps:
        factors.append(f"{run.horizon:,} recorded steps")
    memory.require(
        " x ".join(factors),
        COPIES * run.num_replicas * each,
        "fewer replicas (num_replicas), in parts (first_replica), fewer checkpoints"
        + (", or no record_arms" if run.keep.steps else ""),
    )


def _bytes(prepared: Prepared, run: Run) -> int:
    """Returns the bytes of one replica of a policy, once."""
    scenario = prepared.scenario
    cells = scenario.num_conditions * np.size(prepared.setting.plans.depth)
    visits = cells * (scenario.num_exits + 1) if run.keep.visits else 0
    steps = OF_STEP * run.horizon if run.keep.steps else 0
    checkpoints = OF_CHECKPOINT * len(run.checkpoints)
    by_condition = OF_REPLICA * scenario.num_conditions
    return OF_REPLICA + by_condition + 4 * (cells + visits) + checkpoints + steps
