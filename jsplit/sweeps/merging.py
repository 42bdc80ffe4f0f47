"""Folders of sweeps seen from outside: how far one is, several as one.

Here: `status` and `merge`, which need neither traces nor policies. Not here: one folder
while it is worked in (`chunks`).
"""

import collections
import dataclasses
import datetime
import json
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from jsplit import checks
from jsplit.folders.described import check_same
from jsplit.folders.taken import Taken
from jsplit.results.assembly import assemble, part_of
from jsplit.results.chunk import Chunk, Row
from jsplit.results.runs import Runs
from jsplit.sweeps.chunks import DESCRIPTION, ENDING, INDEX, KIND, load_part
from jsplit.types import JsplitError
from jsplit.writing import make_folder, replacing, write_text

PARTS = "parts"  # where the command keeps them, in its own folder
_MADE_WITH = ("processor", "jsplit_version", "jax_version", "numpy_version")


@dataclasses.dataclass(frozen=True)
class Status:
    """How far a sweep is.

    Attributes:
        parts: how many there are.
        finished: how many of them are finished.
        at_work: how many of the others processes are at.
        cells: how many there are.
        finished_cells: how many of them are finished.
        damaged: files that are damaged, with why.
        written: when the last part was written; None without one.
        host: which wrote it.
    """

    parts: int
    finished: int
    at_work: int
    cells: int
    finished_cells: int
    damaged: list[str]
    written: datetime.datetime | None
    host: str | None


@dataclasses.dataclass(frozen=True)
class Merged:
    """What came of several folders.

    Attributes:
        parts: how many the sweep has.
        finished: how many of them are there now.
        notes: lines on damaged parts and mixtures of processors or versions.
        runs: all cells; None while parts are missing.
    """

    parts: int
    finished: int
    notes: list[str]
    runs: Runs | None


class _Listed(NamedTuple):
    """What the numbers of a part belong to."""

    rows: list[Row]
    where: list[dict[str, int]]  # by environment


class _Index:
    """What a folder says of its parts."""

    def __init__(self, folder: pathlib.Path) -> None:
        path = folder / INDEX
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            self.dimensions: dict[str, dict[str, list[Any]]] = told["dimensions"]
            self.attrs: dict[str, Any] = dict(told["attrs"])
            self.policies = [*map(str, told["policies"])]
            rows = [[Row(*row) for row in of_part] for of_part in told["rows"]]
            self.parts: dict[str, list[_Listed]] = {}
            for name, number, where in told["parts"]:
                # Equal settings under two names share a part.
                listed = self.parts.setdefault(str(name), [])
                listed.append(_Listed(rows[number], where))
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            raise JsplitError(
                f"{folder} is no folder of a sweep: {INDEX} is missing or damaged"
            ) from None

    def cells(self, name: str) -> int:
        """Returns how many cells a part has: combinations of values of axes."""
        sizes = {x: len(next(iter(of.values()))) for x, of in self.dimensions.items()}
        return sum(
            math.prod(n for x, n in sizes.items() if x not in where)
            for listed in self.parts[name]
            for where in listed.where
        )


def status(folder: str | os.PathLike[str]) -> Status:
    """Returns how far a sweep is; reads and changes nothing.

    Args:
        folder: what was given to `sweep` as `out`, or to the command.

    Raises:
        JsplitError: if it is no folder of a sweep.
    """
    path = _parts_of("status", folder)
    index, taken = _Index(path), Taken(path)
    finished, damaged, at_work = [], [], 0
    last, host = 0.0, None
    for name in index.parts:
        file = path / f"{name}{ENDING}"
        if not file.exists():
            at_work += taken.is_taken(name)
            continue
        try:
            chunk = load_part(file)
        except JsplitError as error:
            damaged.append(str(error))
            continue
        finished.append(name)
        written = file.stat().st_mtime
        if written > last:
            last, host = written, str(chunk.attrs.get("host", "an unknown host"))
    cells = {name: index.cells(name) for name in index.parts}
    return Status(
        len(cells),
        len(finished),
        at_work,
        sum(cells.values()),
        sum(cells[name] for name in finished),
        damaged,
        datetime.datetime.fromtimestamp(last) if last else None,
        host,
    )


def merge(
    folders: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]
) -> Merged:
    """Copies the parts of one sweep from several folders into one.

    Parts that are damaged are left out and named. Where folders have the same part,
    the first one counts.

    Args:
        folders: of shards of one sweep, at least one.
        out: folder for all parts; the same sweep goes on there.

    Returns:
        How many parts there are, notes, and all cells once they are complete.

    Raises:
        JsplitError: if there is no folder, one is not of a sweep or of another sweep,
            with what differs, or `out` cannot be written.
    """
    given = checks.entries("folders", folders)
    if not given:
        raise JsplitError("folders must name at least one folder, got none")
    sources = [_parts_of("folders", one) for one in given]
    told = _description(sources[0])
    for source in sources[1:]:
        check_same(source / DESCRIPTION, told, KIND, "folders")
    target = checks.path("out", out) / PARTS
    make_folder(target, "out")
    if (target / DESCRIPTION).exists():
        check_same(target / DESCRIPTION, told, KIND)
        sources.insert(0, target)
    index = _Index(sources[-1])
    notes: list[str] = []
    chunks: dict[str, Chunk] = {}
    for source in sources:
        for name in index.parts:
            _merge_part(source / f"{name}{ENDING}", target, chunks, notes)
    for name in (DESCRIPTION, INDEX):
        write_text(target / name, (sources[-1] / name).read_text(encoding="utf-8"))
    notes += _mixtures([*chunks.values()])
    runs = None
    if len(chunks) == len(index.parts):
        parts = [
            part_of(listed.where, listed.rows, chunks[name])
            for name, found in index.parts.items()
            for listed in found
        ]
        runs = assemble(index.dimensions, index.policies, parts, index.attrs)
    return Merged(len(index.parts), len(chunks), notes, runs)


def _merge_part(
    file: pathlib.Path,
    target: pathlib.Path,
    chunks: dict[str, Chunk],
    notes: list[str],
) -> None:
    """Copies a part, if it is there and whole."""
    if not file.exists():
        return
    try:
        chunk = load_part(file)
    except JsplitError as error:
        notes.append(f"left out: {error}")
        return
    name = file.name.removesuffix(ENDING)
    if name in chunks:
        if not chunk.data.equals(chunks[name].data):
            notes.append(f"{file} has other numbers than the one taken")
        return
    chunks[name] = chunk
    if file.parent != target:
        with replacing(target / file.name) as temporary:
            temporary.write_bytes(file.read_bytes())


def _mixtures(chunks: Sequence[Chunk]) -> list[str]:
    """Returns a line where parts come from several processors or versions."""
    mixed = []
    for name in _MADE_WITH:
        counts = collections.Counter(str(x.attrs.get(name, "?")) for x in chunks)
        if len(counts) > 1:
            each = ", ".join(f"{value} ({n})" for value, n in counts.most_common())
            mixed.append(f"{name.replace('_version', '')}: {each}")
    return [f"parts come from a mixture of {'; '.join(mixed)}"] if mixed else []


def _description(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or "baseline" not in told:
        raise JsplitError(
            f"{folder} is no folder of a sweep: {DESCRIPTION} is missing or damaged"
        )
    return told


def _parts_of(argument: str, folder: Any) -> pathlib.Path:
    """Returns where the parts lie: in a folder, or in one within it."""
    path = checks.path(argument, folder)
    inside = path / PARTS
    return inside if (inside / DESCRIPTION).exists() else path
