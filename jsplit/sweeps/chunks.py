"""Finished tasks of a sweep on disk: one checked file each.

Here: what was swept, which parts there are, damaged files. Not here: what is in a chunk
(`results.chunk`), what it is called (`tasks`), who is at which (`folders.taken`),
several folders as one (`merging`).
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsplit import checks
from jsplit.engine.midway import Midway, MidwayFile
from jsplit.evaluation.told import told_policy, told_scenario
from jsplit.folders.described import describe
from jsplit.folders.taken import Taken
from jsplit.results.chunk import Chunk
from jsplit.sweeps.grid import Grid
from jsplit.sweeps.tasks import Task, check_chunk
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError
from jsplit.writing import make_folder, write_text

DESCRIPTION = "sweep.json"
INDEX = "parts.json"
ENDING = ".nc.gz"
MIDWAY = ".midway"
KIND = "sweep"


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
        describe(self.path / DESCRIPTION, about, KIND)
        self._taken = Taken(self.path)

    def list_parts(self, index: Mapping[str, Any]) -> None:
        """Writes which parts there are, for who looks at the folder alone."""
        assert self.path is not None
        path, text = self.path / INDEX, json.dumps(index)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path.read_text(encoding="utf-8") == text:
                return
        write_text(path, text)

    def find(self, task: Task) -> Chunk | None:
        """Returns a finished chunk; a damaged one is set aside and counts as none."""
        if self.path is None:
            return None
        path = self._file(task)
        if not path.exists():
            return None
        try:
            chunk = load_part(path)
            check_chunk(chunk, task)
            return chunk
        except JsplitError as error:
            with contextlib.suppress(OSError):  # another process was faster
                os.replace(path, path.with_suffix(".damaged"))
            self.set_aside.append(str(error))
            return None

    def take(self, task: Task) -> bool:
        """Takes a task for this process, unless another one is at it."""
        return self.path is None or self._taken.take(task.name)

    def release(self, task: Task) -> None:
        """Gives a task free that this process took."""
        if self.path is not None:
            self._taken.release(task.name)

    def release_all(self) -> None:
        """Gives free all that this process took and did not finish."""
        if self.path is not None:
            self._taken.release_all()

    def midway(self, task: Task) -> Callable[[str], Midway] | None:
        """Returns where the state of an unfinished task is kept."""
        if self.path is None:
            return None
        folder = self.path
        return lambda told: MidwayFile(folder / f".{task.name}.{told}{MIDWAY}")

    def keep(self, task: Task, chunk: Chunk) -> None:
        """Writes a finished chunk."""
        if self.path is None:
            return
        chunk.data.attrs["part"] = task.name
        chunk.save(self._file(task))
        for path in self.path.glob(f".{task.name}.*{MIDWAY}"):
            path.unlink(missing_ok=True)
        self._taken.release(task.name)

    def _file(self, task: Task) -> pathlib.Path:
        assert self.path is not None
        return self.path / f"{task.name}{ENDING}"


def load_part(path: pathlib.Path) -> Chunk:
    """Returns the chunk of a file.

    Raises:
        JsplitError: if it is damaged, or is not the part that its name says.
    """
    chunk = Chunk.load(path)
    name = path.name.removesuffix(ENDING)
    if chunk.attrs.get("part") != name:
        raise JsplitError(f"{path} is another part: {chunk.attrs.get('part')}")
    return chunk


def index_of(
    dimensions: Mapping[str, Mapping[str, Sequence[Any]]],
    policies: Sequence[str],
    attrs: Mapping[str, Any],
    tasks: Sequence[Task],
) -> dict[str, Any]:
    """Returns which parts a sweep has and what their numbers belong to, JSON-able.

    Args:
        dimensions: by dimension, values of the axes that vary along it.
        policies: labels.
        attrs: of the sweep.
        tasks: all of them.
    """
    rows: dict[str, int] = {}
    parts = []
    for task in tasks:
        text = json.dumps(task.rows)
        number = rows.setdefault(text, len(rows))
        parts.append([task.name, number, [place.where for place in task.places]])
    return {
        "dimensions": {
            name: {axis: [*map(_plain, values)] for axis, values in of.items()}
            for name, of in dimensions.items()
        },
        "policies": [*policies],
        "attrs": dict(attrs),
        "rows": [json.loads(text) for text in rows],
        "parts": parts,  # name, which rows, where each environment is
    }


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
