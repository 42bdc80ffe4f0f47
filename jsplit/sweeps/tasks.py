"""The work of a sweep in pieces: environments that are replayed and kept together.

Here: `Task`, how environments are grouped into tasks, what determines a task's numbers,
and `perform`, which replays one. Not here: which environments there are (`grid`), files
(`chunks`), the loop over tasks (`sweep`).
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jsplit import stats
from jsplit.engine.midway import Midway
from jsplit.engine.settings import Run
from jsplit.evaluation.told import told_scenario, told_with_plans
from jsplit.policies.base import Policy
from jsplit.results.assembly import shared
from jsplit.results.building import how_it_ran
from jsplit.results.chunk import Chunk, Row
from jsplit.results.metrics import PER_REPLICA
from jsplit.sweeps.grid import Place
from jsplit.sweeps.replaying import replay_settings
from jsplit.types import JsplitError

# A task is what is lost when a process is killed, and what a worker takes at a time:
# some seconds of work. These numbers decide what is in a chunk, so they depend on
# nothing but the sweep: a chunk means the same on every machine.
MAX_STEPS = 2**28  # replica-steps of a task
MAX_PLACES = 64
MAX_VALUES = 2**25  # numbers of all its replicas, 256 MiB


@dataclasses.dataclass(frozen=True)
class Task:
    """Environments that are replayed in the same way, and all policies on each.

    Attributes:
        places: the environments, of one length.
        policies: all policies, with the values of their axes.
        rows: policies beside their baselines.
        run: how the replicas are run.
        keep: metrics of which the value of every replica is kept too.
    """

    places: tuple[Place, ...]
    policies: tuple[Policy, ...]
    rows: tuple[Row, ...]
    run: Run
    keep: tuple[str, ...] = ()

    @property
    def num_replicas(self) -> int:
        """Replicas of all policies on all environments."""
        return len(self.places) * len(self.policies) * self.run.num_replicas

    @functools.cached_property
    def name(self) -> str:
        """The hash of all that determines the numbers of the task.

        Processor, library versions, devices and block sizes do not: they are recorded.
        """
        run = self.run
        told = {
            "scenarios": [told_scenario(place.scenario) for place in self.places],
            "policies": [
                told_with_plans(policy, self.places[0].scenario, run.protocol)
                for policy in self.policies
            ],
            "rows": [(row.label, row.baseline) for row in self.rows],
            "horizon": run.horizon,
            "stream": run.stream,
            "protocol": run.protocol.switches(),
            "seed": run.seed,
            "replicas": [run.first_replica, run.num_replicas],
            "keep": self.keep,
        }
        text = json.dumps(told, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def tasks_of(
    places: Iterable[tuple[Place, Run]],
    policies: Sequence[Policy],
    rows: Sequence[Row],
    keep: tuple[str, ...] = (),
) -> Iterator[Task]:
    """Yields the tasks of a sweep: environments in order, alike ones together.

    Args:
        places: environments, and how each is run.
        policies: as in `Task`, and so are the others.
        rows: see there.
        keep: see there.
    """
    group: list[Place] = []
    before: tuple[Any, ...] | None = None
    largest = 1
    for place, run in places:
        kind = (run, place.scenario.num_samples, place.scenario.num_exits)
        if group and (kind != before or len(group) >= largest):
            assert before is not None
            yield Task(tuple(group), tuple(policies), tuple(rows), before[0], keep)
            group = []
        replicas = len(policies) * run.num_replicas
        values = replicas * len(PER_REPLICA)
        largest = min(MAX_STEPS // (replicas * run.horizon), MAX_VALUES // values)
        largest = min(max(largest, 1), MAX_PLACES)
        before = kind
        group.append(place)
    if before is not None:
        yield Task(tuple(group), tuple(policies), tuple(rows), before[0], keep)


def perform(
    task: Task,
    advance: Callable[[int], None] = lambda replicas: None,
    midway: Callable[[str], Midway] | None = None,
) -> Chunk:
    """Replays a task and returns what is kept of it.

    Args:
        task: what to replay.
        advance: called with the number of replicas finished.
        midway: where the state of unfinished work is kept, see `replay_settings`.
    """
    scenarios = [place.scenario for place in task.places]
    found = replay_settings(scenarios, task.policies, task.run, advance, midway)
    attrs = [how_it_ran(one, task.run) for one in scenarios]
    labels = [policy.label for policy in task.policies]
    number = scenarios[0].num_samples  # of all, which are of one length
    least, most = np.moveaxis(found.possible, -1, 0)
    return Chunk.of(
        found.values,
        labels,
        task.rows,
        shared(attrs),
        never_varies=found.never_varies,
        possible=stats.SampleRange(least, most, number),
        keep=task.keep,
    )


def check_chunk(chunk: Chunk, task: Task) -> None:
    """Raises unless a chunk has the shape of its task."""
    expected = (len(task.places), len(task.rows))
    found = (chunk.data.sizes["place"], chunk.data.sizes["row"])
    if found != expected:
        raise JsplitError(
            f"part {task.name} must hold {expected[0]} environments of {expected[1]} "
            f"rows, got {found[0]} of {found[1]}"
        )
