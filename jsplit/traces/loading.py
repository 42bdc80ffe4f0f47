"""From a file to a trace.

Here: saved traces, tables that others wrote, the library's own sample traces. Not here:
how tables are folded (`tables`), how a trace is written (`files`).
"""

import importlib.resources
import os
from typing import Any

from jsplit import checks
from jsplit.traces import files
from jsplit.traces.trace import ARRAYS, Trace
from jsplit.types import JsplitError

_SAMPLES = importlib.resources.files("jsplit.traces") / "samples"


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Reads a saved trace, or imports a table that someone else wrote.

    The ending decides: .csv and .parquet are tables in long or wide form (see
    `traces.tables.read_table`), anything else is an .npz file. An .npz file that
    `Trace.save` did not write needs the arrays `logits` and `labels` (or `label`), or
    the arguments of `Trace.from_arrays`. Nothing is ever unpickled. An imported trace
    has the name of the file, without its ending, as meta["dataset"].

    Args:
        path: the file.

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
    path = checks.path("path", path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        what = "is no regular file" if path.exists() and not path.is_dir() else what
        raise JsplitError(f"path must be a trace file, but {str(path)!r} {what}")
    from jsplit.traces import tables

    try:
        if path.suffix.lower() in (".csv", ".parquet"):
            return Trace.from_arrays(**tables.read_table(path), dataset=path.stem)
        entries: dict[str, Any] = tables.read_npz(path)
        if "header" in entries:
            return _restore(entries)
        if "logits" in entries:
            return Trace.from_logits(**entries, dataset=path.stem)
        return Trace.from_arrays(**entries, dataset=path.stem)
    except JsplitError as error:
        raise JsplitError(f"{path}: {error}") from error


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
