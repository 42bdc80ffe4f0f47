"""How the steps of a run are cut into segments, and what the protocol asks of them.

Here: `Schedule` and `Numbers`, which are data: new ones compile nothing. Not here: the
loop over them (`replay`).
"""

from typing import Any, NamedTuple

import numpy as np
from jax import Array

from jsplit.engine import reduce, streams
from jsplit.engine.settings import Run
from jsplit.types import Protocol


class Schedule(NamedTuple):
    """How T steps are cut into segments.

    No segment crosses a checkpoint or the end of a pass over the data.
    """

    start: Any  # [S] int32: first step of the segment
    steps: Any  # [S] int32: its steps, at most reduce.SEGMENT
    row: Any  # [S] int32: the checkpoint it leads to
    passes: Any  # [P + 1] int32: first segment of each pass
    phase: Any = None  # [T + SEGMENT] int32: which transition leads to a step
    below: Any = None  # [transitions, M - 1, M] int32, see streams.next_condition


class Numbers(NamedTuple):
    """What the protocol asks of the loop."""

    billed_plays: Array | int  # [] int32: steps that play arm 0, 1, ... in order
    free_plays: Array | int  # [] int32: arms initialised before, without charge
    clock_offset: Array | int  # [] int32: what the index's clock adds to step + 1


def make_schedule(
    run: Run,
    num_samples: int,
    phase: np.ndarray | None = None,
    transition: np.ndarray | None = None,
) -> Schedule:
    """Returns the segments of a run.

    Args:
        run: its horizon T and checkpoints.
        num_samples: N, the length of a pass.
        phase: [T] which transition leads to each step; None for one condition.
        transition: [P, M, M] chance of each condition, given the one before.
    """
    checkpoints = np.asarray(run.checkpoints)
    ends = np.arange(num_samples, run.horizon, num_samples)
    stops = np.union1d(checkpoints, ends)
    starts = np.concatenate([[0], stops[:-1]])
    pieces = [
        np.arange(start, stop, reduce.SEGMENT)
        for start, stop in zip(starts, stops, strict=True)
    ]
    start = np.concatenate(pieces)
    count = np.diff(np.append(start, run.horizon))
    row = np.searchsorted(checkpoints, start + count)
    num_passes = -(-run.horizon // num_samples)
    passes = np.searchsorted(start, np.arange(num_passes + 1) * num_samples)
    segments: Any = (x.astype(np.int32) for x in (start, count, row, passes))
    if phase is None or transition is None:
        return Schedule(*segments)
    below = np.cumsum(transition, axis=-1)[..., :-1].swapaxes(-1, -2)
    below = np.rint(below * 2**streams.CHANCE_BITS).astype(np.int32)
    phase = np.pad(phase, (0, reduce.SEGMENT), mode="edge").astype(np.int32)
    return Schedule(*segments, phase=phase, below=below)


def make_numbers(protocol: Protocol, initial_plays: int) -> Numbers:
    """Returns what the protocol asks of the loop.

    Args:
        protocol: its switches `initial_plays` and `clock`.
        initial_plays: arms that the policy plays once before it chooses.
    """
    free = protocol.initial_plays == "free"
    by_rounds = protocol.clock == "rounds"
    return Numbers(
        billed_plays=0 if free else initial_plays,
        free_plays=initial_plays if free else 0,
        # Rounds count the initial plays, charged or not; steps never do.
        clock_offset=initial_plays * (int(by_rounds) - int(not free)),
    )
