"""Finished tasks of a sweep on disk: one checked file each.

Here: what was swept, and damaged files. Not here: what is in a chunk (`results.runs`),
what it is called (`tasks`).
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from jsplit import checks
from jsplit.results.runs import Chunk
from jsplit.sweeps.grid import Grid
from jsplit.sweeps.tasks import Task, check_chunk, told_policy, told_scenario
from jsplit.traces.trace import Trace
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

    def find(self, task: Task) -> Chunk | None:
        """Returns a finished chunk; a damaged one is set aside and counts as none."""
        if self.path is None:
            return None
        path = self._file(task)
        if not path.exists():
            return None
        try:
            chunk = Chunk.load(path)
            check_chunk(chunk, task)
            return chunk
        except JsplitError as error:
            os.replace(path, path.with_suffix(".damaged"))
            self.set_aside.append(str(error))
            return None

    def keep(self, task: Task, chunk: Chunk) -> None:
        """Writes a finished chunk."""
        if self.path is not None:
            chunk.save(self._file(task))

    def _file(self, task: Task) -> pathlib.Path:
        assert self.path is not None
        return self.path / f"{task.name}.nc.gz"


def description_of(grid: Grid, **arguments: Any) -> dict[str, Any]:
    """Returns what a sweep is, as kept beside its chunks."""
    return {
        "axes": {axis.name: [*map(_plain, axis.values)] for axis in grid.axes},
        "policies": [told_policy(policy) for policy in grid.policies],
        "fit": [one.label for one in grid.fits],
        "environments": {
            name: one.sha256 if isinstance(one, Trace) else told_scenario(one)
            for name, one in grid.environments.items()
        },
        **{name: _plain(value) for name, value in arguments.items()},
    }


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
