"""From a file to a trace.

Here: saved traces, tables that others wrote, what was understood of them, the library's
own sample traces. Not here: how tables and arrays are read (`tables`, `npz`), how a
trace is written (`files`).
"""

import contextlib
import importlib.resources
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jsplit import checks
from jsplit.traces import files
from jsplit.traces.columns import PER_CLASS
from jsplit.traces.fields import ARRAYS, MEASURED
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from jsplit.traces.tables import Imported

_ARRAYS_HINT = ": save arrays with numpy.savez"
_SHEET = ": save the sheet as .csv"
_FOREIGN = {
    **dict.fromkeys((".pt", ".pth", ".pkl", ".pickle", ".npy", ".mat"), _ARRAYS_HINT),
    **dict.fromkeys((".h5", ".hdf5", ".nc", ".safetensors"), _ARRAYS_HINT),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), _SHEET),
    **dict.fromkeys((".feather", ".arrow", ".orc"), ": save the table as .parquet"),
}

_SAMPLES = importlib.resources.files("jsplit.traces") / "samples"


class Loaded(NamedTuple):
    """A trace, and in one line what was understood of its file."""

    trace: Trace
    understood: str


def load_trace(
    path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None
) -> Trace:
    """Reads a saved trace, or imports a table that someone else wrote.

    The ending decides:

    - .csv, .tsv, .txt: tables in long or wide form (see `traces.tables.read_table`),
      with commas, tabs, semicolons (and decimal commas) or bars.
    - .jsonl, .json, .parquet: the same, or lists with one entry per exit.
    - .npz: what `Trace.save` wrote, or else the arrays `logits` or `probabilities` and
      `labels`, or the arguments of `Trace.from_arrays`, whole or one array per exit.

    Text and JSON may end in .gz, .bz2 or .xz as well. Usual names are known whatever
    their capitals, such as Sample_ID, conf, pred, target. Nothing is ever unpickled. An
    imported trace has the name of the file, without its endings, as meta["dataset"],
    and as meta["exits"] the exits of the file unless these are 0, 1, ... or 1, 2, ...

    Args:
        path: the file.
        columns: names in an imported file by what they hold: sample, exit, label,
            confidence, prediction, correct, entropy, logits, probabilities, remote_...,
            cost, seconds or milliseconds; `{exit}` in a name stands for the number or
            name of an exit, as in {"confidence": "conf_branch_{exit}"}, "" says that
            the file has none. None: usual names.

    Returns:
        The trace; a saved one bit for bit as it was.

    Raises:
        JsplitError: if `path` is no path, or the file is missing, truncated, damaged,
            foreign or from a newer jsplit, or its contents make no valid trace.
        ImportError: if it is a Parquet file and pyarrow is not installed.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from jsplit.traces.loading import load_trace
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "toy.npz")
        ...     np.savez(path, confidence=[[0.6, 0.9]], correct=[[0, 1]])
        ...     load_trace(path)
        Trace(toy, N=1, L=2, accuracy 0.000 to 1.000)
    """
    return load_and_tell(path, columns).trace


def load_and_tell(
    path: str | os.PathLike[str], columns: Mapping[str, str] | None = None
) -> Loaded:
    """Returns what `load_trace` does, and which columns were read as what.

    Args:
        path: the file.
        columns: see `load_trace`.

    Raises:
        JsplitError: if `load_trace` raises it.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from jsplit.traces.loading import load_and_tell
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "toy.npz")
        ...     np.savez(path, Conf=[[0.6, 0.9]], correct=[[0, 1]])
        ...     load_and_tell(path).understood
        'toy.npz: 1 sample, 2 exits; confidence from Conf; accuracy by exit 0.000 1.000'
    """
    path = checks.path("path", path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        what = "is no regular file" if path.exists() and not path.is_dir() else what
        raise JsplitError(f"path must be a trace file, but {str(path)!r} {what}")
    from jsplit.traces import npz, readers, tables

    name, ending = readers.split_name(path)
    try:
        if ending in (*readers.TEXT, *readers.JSON, *readers.PARQUET):
            found = tables.read_table(path, columns)
        else:
            _check_npz(path)
            found = npz.read_npz(path, columns)
            if isinstance(found, dict):
                trace = _restore(found)
                return Loaded(trace, _understood(path.name, trace, {}))
        trace = _built(found, name)
    except JsplitError as error:
        raise JsplitError(f"{path}: {error}") from error
    return Loaded(trace, _understood(path.name, trace, found.sources))


def sample_trace(name: str) -> Trace:
    """Returns one of the traces that come with the library.

    They were recorded from networks trained with this library; the scripts are in
    `experiments/samples`. The metadata names the network, the data and the training.

    Args:
        name: one of `sample_names()`.

    Raises:
        JsplitError: if there is no such trace.

    Example:
        >>> from jsplit.traces.loading import sample_trace
        >>> sample_trace("digits").num_exits
        6
    """
    checks.choice("name", name, sample_names())
    with importlib.resources.as_file(_SAMPLES / f"{name}.npz") as path:
        return load_trace(path)


def sample_names() -> list[str]:
    """Returns the names of the traces that come with the library."""
    names = sorted(entry.name for entry in _SAMPLES.iterdir())
    return [name.removesuffix(".npz") for name in names if name.endswith(".npz")]


def _built(found: "Imported", dataset: str) -> Trace:
    """Returns the trace that the contents of a file make."""
    given = dict(found.arguments)
    meta: dict[str, Any] = {"dataset": dataset}
    count = len(found.exits)
    if list(found.exits) not in (list(range(count)), list(range(1, count + 1))):
        meta["exits"] = list(found.exits)
    if "milliseconds" in given:
        if "seconds" in given:
            raise JsplitError("times must be seconds or milliseconds, got both")
        given["seconds"] = np.asarray(given.pop("milliseconds"), np.float64) / 1000
    label = given.get("label")
    beside = {name: given.get(name) for name in ("sample", *MEASURED)}
    for kind, build in (
        ("logits", Trace.from_logits),
        ("probabilities", Trace.from_probabilities),
    ):
        if kind in given and label is not None:
            remote = {f"remote_{kind}": given.get(f"remote_{kind}")}
            return build(given[kind], label, **beside, **remote, **meta)
    for kind in PER_CLASS:
        given.pop(kind, None)
    return Trace.from_arrays(**given, **meta)


def _understood(name: str, trace: Trace, sources: Mapping[str, list[str]]) -> str:
    def counted(number: int, what: str) -> str:
        return f"{number:,} {what}{'' if number == 1 else 's'}"

    def listed(names: list[str]) -> str:
        return f"{names[0]} .. {names[-1]}" if len(names) > 2 else " ".join(names)

    sizes = [counted(trace.num_samples, "sample"), counted(trace.num_exits, "exit")]
    if trace.num_classes is not None:
        sizes.append(f"{trace.num_classes:,} classes")
    if "exits" in trace.meta:
        sizes[1] += f" ({', '.join(map(str, trace.meta['exits']))})"
    other = [
        f"{quantity} from {listed(names)}"
        for quantity, names in sources.items()
        if names and names != [quantity]
    ]
    if trace.confidence is None:
        other.append("no confidences")
    accuracy = " ".join(f"{share:.3f}" for share in trace.accuracy)
    parts = [", ".join(sizes), *([", ".join(other)] if other else [])]
    return f"{name}: {'; '.join(parts)}; accuracy by exit {accuracy}"


def _check_npz(path: pathlib.Path) -> None:
    """Raises if a file, by its name, is of a format that is not read at all."""
    if path.suffix.lower() == ".npz":
        return
    with contextlib.suppress(OSError):  # which reading it will tell
        if zipfile.is_zipfile(path) and path.suffix.lower() not in _FOREIGN:
            return
    raise JsplitError(
        f"files that end in {path.suffix or 'nothing'} are not read; a trace is .npz, "
        ".csv, .tsv, .txt, .jsonl, .json (each of these also .gz, .bz2, .xz) or "
        f".parquet{_FOREIGN.get(path.suffix.lower(), '')}"
    )


def _restore(entries: dict[str, Any]) -> Trace:
    """Returns the trace that `Trace.save` wrote, or says that it is damaged."""
    sha256, meta = files.parse_header(entries["header"])
    fields: dict[str, Any] = {name: entries.get(name) for name in ARRAYS}
    try:
        trace = Trace(**fields, meta=meta)
    except JsplitError as error:
        raise JsplitError(f"the file is damaged ({error})") from error
    if trace.sha256 != sha256:
        raise JsplitError(
            f"the file is damaged: its sha256 must be {sha256}, got {trace.sha256}"
        )
    return trace
