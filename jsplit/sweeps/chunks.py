"""Finished environments of a sweep on disk: one checked file each.

Here: the name of a chunk, which is a hash of all that determines it; what was swept;
damaged files. Not here: what is in a chunk (`results.runs`).
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jsplit import checks
from jsplit.engine.settings import Run
from jsplit.policies.base import Policy
from jsplit.results.runs import Chunk
from jsplit.sweeps.grid import Grid, Place
from jsplit.types import JsplitError
from jsplit.writing import make_folder, write_text

DESCRIPTION = "sweep.json"


class Folder:
    """A folder of chunks; without a path nothing is kept.

    Args:
        path: the folder, made if it is not there.
        about: what is swept, JSON-able; a folder holds one sweep only.

    Raises:
        JsplitError: if the folder holds another sweep, with what differs.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, about: Mapping[str, Any]
    ) -> None:
        self.path = None if path is None else checks.path("out", path)
        self.set_aside: list[str] = []
        if self.path is None:
            return
        make_folder(self.path, "out")
        description = self.path / DESCRIPTION
        told = json.loads(json.dumps(about))
        if description.exists():
            _check_same(description, told)
        else:
            write_text(description, json.dumps(told, indent=2))

    def find(self, name: str) -> Chunk | None:
        """Returns a finished chunk; a damaged one is set aside and counts as none."""
        if self.path is None:
            return None
        path = self._file(name)
        if not path.exists():
            return None
        try:
            return Chunk.load(path)
        except JsplitError as error:
            os.replace(path, path.with_suffix(".damaged"))
            self.set_aside.append(str(error))
            return None

    def keep(self, name: str, chunk: Chunk) -> None:
        """Writes a finished chunk."""
        if self.path is not None:
            chunk.save(self._file(name))

    def _file(self, name: str) -> pathlib.Path:
        assert self.path is not None
        return self.path / f"{name}.nc.gz"


def name_of(place: Place, policies: Sequence[Policy], baseline: str, run: Run) -> str:
    """Returns the hash of all that determines the numbers of a chunk.

    Processor, library versions, devices and block sizes do not: they are recorded.
    """
    told = {
        "trace": place.scenario.first.trace.sha256,
        "costs": place.scenario.first.costs.numbers,
        "policies": [_told(policy) for policy in policies],
        "baseline": baseline,
        "horizon": run.horizon,
        "stream": run.stream,
        "protocol": run.protocol.switches(),
        "seed": run.seed,
        "replicas": [run.first_replica, run.num_replicas],
    }
    text = json.dumps(told, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def description_of(grid: Grid, **arguments: Any) -> dict[str, Any]:
    """Returns what a sweep is, as kept beside its chunks."""
    return {
        "axes": {axis.name: [*map(_plain, axis.values)] for axis in grid.axes},
        "policies": [_told(policy) for policy in grid.policies],
        "traces": {name: trace.sha256 for name, trace in grid.traces.items()},
        **{name: _plain(value) for name, value in arguments.items()},
    }


def _told(policy: Policy) -> list[str]:
    """Returns what tells a policy from others, whatever its label."""
    parts = (policy.selector, policy.params, policy.score, policy.reveal, policy.learns)
    return [policy.label, *map(repr, parts)]


def _plain(value: Any) -> Any:
    return (
        value if value is None or isinstance(value, bool | int | float) else str(value)
    )


def _check_same(description: pathlib.Path, told: Mapping[str, Any]) -> None:
    try:
        before = json.loads(description.read_text(encoding="utf-8"))
        assert isinstance(before, dict)
    except (OSError, ValueError, AssertionError, RecursionError):
        raise JsplitError(
            f"out: {description} is damaged or not of a sweep; use another folder"
        ) from None
    differing = [
        f"{name} was {checks.shown(before.get(name))}, is {checks.shown(value)}"
        for name, value in told.items()
        if before.get(name) != value
    ]
    if differing:
        raise JsplitError(
            f"out: {description.parent} holds another sweep: {'; '.join(differing)}; "
            "use another folder"
        )
