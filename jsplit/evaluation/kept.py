"""What an evaluation has finished, in a folder, so that the same one goes on there.

Here: `Kept`. A part is one policy and some of its replicas; the state of an unfinished
one is kept too, so a kill costs half a minute at most. Not here: what is replayed
(`evaluate`), how a state is written (`engine.midway`).
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jsplit import checks
from jsplit.engine.midway import Midway, MidwayFile, Saved
from jsplit.engine.settings import Run
from jsplit.engine.sums import Replicas, UnderCondition
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.told import told_with_plans
from jsplit.folders.described import describe
from jsplit.folders.lock import locked
from jsplit.policies.base import Policy
from jsplit.results.result import Result, load_result, save_result
from jsplit.types import JsplitError
from jsplit.version import __version__
from jsplit.writing import make_folder

DESCRIPTION, RESULT = "evaluation.json", "result.nc.gz"
PART_BYTES = 2**28  # of a part, about

_SPLIT = UnderCondition._fields

Replay = Callable[[Run, Midway | None], Replicas]


class Kept:
    """The finished parts of one evaluation; without a folder nothing is kept."""

    def __init__(self, folder: pathlib.Path | None = None) -> None:
        """Args: where the parts are, a folder that exists."""
        self._folder = folder

    def replicas(
        self, number: int, run: Run, replay: Replay, advance: Callable[[int], None]
    ) -> Replicas:
        """Returns what the replicas of a policy did, from the folder what is there.

        Args:
            number: of the policy.
            run: how it is run.
            replay: runs some of the replicas, which go on from a state if there is
                one.
            advance: called with the number of replicas found.
        """
        if self._folder is None:
            return replay(run, None)
        parts = []
        for own in _parts(run):
            name = f"{number:03d}-{own.first_replica}"
            file = MidwayFile(self._folder / f"{name}.part")
            found = _read(file, own)
            if found is None:
                midway = MidwayFile(self._folder / f".{name}.midway")
                found = replay(own, midway)
                file.save(_saved(found, own))
                midway.remove()
            else:
                advance(own.num_replicas)
            parts.append(found)
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def result(self, policies: Sequence[Policy], run: Run) -> Result | None:
        """Returns the whole result, if it is there and intact."""
        with contextlib.suppress(JsplitError):
            if self._folder is not None:
                result = load_result(self._folder / RESULT)
                labels = [policy.label for policy in policies]
                if (result.policies, result.num_replicas) == (labels, run.num_replicas):
                    return result
        return None

    def finish(self, result: Result) -> None:
        """Writes the whole result, which takes the place of the parts."""
        if self._folder is None:
            return
        save_result(result, self._folder / RESULT)
        for path in [*self._folder.glob("*.part"), *self._folder.glob(".*.midway")]:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def keeping(
    out: str | os.PathLike[str] | None,
    scenario: Scenario,
    policies: Sequence[Policy],
    run: Run,
    bills: str | None,
) -> Iterator[Kept]:
    """Gives the folder of an evaluation, which nobody else writes meanwhile.

    Args:
        out: the folder, made if need be; None to keep nothing.
        scenario: what is replayed.
        policies: on it.
        run: how.
        bills: as stored in a result; None if none were asked for.

    Raises:
        JsplitError: if the folder holds another evaluation, with what differs, cannot
            be written, or another process is at it.
    """
    if out is None:
        yield Kept()
        return
    folder = checks.path("out", out)
    make_folder(folder, "out")
    with locked(folder, "out"):
        about = _told(scenario, policies, run, bills)
        if not (folder / DESCRIPTION).exists():
            (folder / RESULT).unlink(missing_ok=True)  # of something else
        describe(folder / DESCRIPTION, about, "evaluation")
        yield Kept(folder)


def _told(
    scenario: Scenario, policies: Sequence[Policy], run: Run, bills: str | None
) -> dict[str, object]:
    """Returns all that determines the numbers, JSON-able."""
    routes = [x for one in scenario.conditions.values() for x in one.all_routes]
    told = {
        "policies": [told_with_plans(x, scenario, run.protocol) for x in policies],
        "traces": [x.trace.sha256 for x in routes],
        "costs": [x.costs.numbers for x in routes],
        "drift": None if scenario.drift is None else scenario.drift.label,
        "num_replicas": run.num_replicas,
        "first_replica": run.first_replica,
        "stream": run.stream,
        "horizon": run.horizon,
        "checkpoints": run.checkpoints,
        "protocol": run.protocol.switches(),
        "seed": run.seed,
        "record_arms": run.keep.steps,
        "keep_curves": run.keep.curves,
        "bills": bills,
        "double precision": jax.config.jax_enable_x64,  # type: ignore[attr-defined]
        "jsplit": __version__,
    }
    return json.loads(json.dumps(told, default=repr))


def _parts(run: Run) -> Iterator[Run]:
    """Yields runs of some replicas each, all in order."""
    each = 24 * len(run.checkpoints) + (8 * run.horizon if run.keep.steps else 0)
    size = max(PART_BYTES // (each + 256), 1024) // 1024 * 1024
    for start in range(0, run.num_replicas, size):
        number = min(size, run.num_replicas - start)
        first = run.first_replica + start
        yield dataclasses.replace(run, first_replica=first, num_replicas=number)


def _saved(replicas: Replicas, run: Run) -> Saved:
    fields = [*replicas[:-1], *(replicas.by_condition or [None] * len(_SPLIT))]
    there = [int(field is not None) for field in fields]
    leaves = [field for field in fields if field is not None]
    return Saved([run.num_replicas, *there], leaves)


def _read(file: MidwayFile, run: Run) -> Replicas | None:
    """Returns the replicas in a file; None if it is missing, damaged or of others."""
    saved = file.load()
    if saved is None or saved.position[0] != run.num_replicas:
        return None
    leaves = iter(saved.leaves)
    fields: Any = [next(leaves) if there else None for there in saved.position[1:]]
    own, split = fields[: -len(_SPLIT)], fields[-len(_SPLIT) :]
    by_condition = None if split[0] is None else UnderCondition(*split)
    return Replicas._make([*own, by_condition])
