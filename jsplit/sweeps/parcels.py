"""Tasks as they travel to workers: without their traces, which are sent once.

Here: packing a task, doing a packed one in whatever process it arrives in, traces that
a process knows. Not here: what a task is (`tasks`), who hands them out (`work`).
"""

import collections
import functools
import io
import pathlib
import pickle
import platform
import socket
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jsplit import checks
from jsplit.engine.midway import Midway
from jsplit.results.chunk import Chunk
from jsplit.sweeps.tasks import Task, perform
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

_MAX_RECEIVED = 128  # traces that a worker keeps; a task has at most 64

_here: weakref.WeakValueDictionary[str, Trace] = weakref.WeakValueDictionary()
_received: collections.deque[Trace] = collections.deque(maxlen=_MAX_RECEIVED)


class Missing(NamedTuple):
    """What a worker answers that does not have all traces of a task."""

    traces: tuple[str, ...]  # sha256 of each


class Parcel(NamedTuple):
    """A task on its way."""

    content: bytes  # the pickled task, traces by their sha256
    traces: Mapping[str, Trace]  # by sha256; what the content leaves out


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.traces: dict[str, Trace] = {}

    def persistent_id(self, obj: Any) -> str | None:
        if not isinstance(obj, Trace):
            return None
        self.traces[obj.sha256] = obj
        return obj.sha256


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.missing: list[str] = []

    def persistent_load(self, pid: str) -> Trace | None:
        found = _here.get(pid)
        if found is None:
            self.missing.append(pid)
        return found


def pack(task: Task) -> Parcel:
    """Returns a task as it travels.

    Raises:
        JsplitError: if a policy or the scenario cannot be pickled, or devices were
            chosen, which are those of this process.
    """
    if task.run.devices is not None:
        raise JsplitError(
            "devices must be None with an executor: every worker uses its own, got "
            f"{checks.shown(task.run.devices)}"
        )
    try:
        content, traces = _packed(task)
    except _CANNOT as error:
        raise _refusal(task, error) from None
    _here.update(traces)  # for workers that are threads of this process
    return Parcel(content, traces)


def do(content: bytes, traces: Mapping[str, Trace], attempt: int) -> Chunk | Missing:
    """Does a packed task; what a worker calls.

    Args:
        content: see `Parcel`.
        traces: traces that come with it, by sha256; they are kept for later tasks.
        attempt: how often the task was handed out before, so that nobody takes this
            call for an earlier one.
    """
    del attempt
    for sha256, trace in traces.items():
        if sha256 not in _here:
            _here[sha256] = trace
            _received.append(trace)
    unpacker = _Unpacker(io.BytesIO(content))
    task = unpacker.load()
    if unpacker.missing:
        return Missing(tuple(dict.fromkeys(unpacker.missing)))
    return signed(task)


def signed(
    task: Task,
    advance: Callable[[int], None] = lambda replicas: None,
    midway: Callable[[str], Midway] | None = None,
) -> Chunk:
    """Performs a task and notes what did it: the host and its processor."""
    chunk = perform(task, advance, midway)
    chunk.data.attrs |= {"host": socket.gethostname(), "processor": _processor()}
    return chunk


_CANNOT = (pickle.PicklingError, AttributeError, TypeError)  # what pickle raises


def _packed(value: Any) -> tuple[bytes, dict[str, Trace]]:
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(value)
    return file.getvalue(), packer.traces


def _refusal(task: Task, error: Exception) -> JsplitError:
    """Returns the error that names what of a task cannot be pickled."""
    parts = {f"policy {one.label}": one for one in task.policies}
    parts |= {"a value of an axis": [place.at for place in task.places]}
    culprit = "a scenario"
    for name, part in parts.items():
        try:
            _packed(part)
        except _CANNOT:
            culprit = name
            break
    return JsplitError(
        f"{culprit} cannot be sent to a worker: {checks.shown(str(error), 90)}; define "
        "its functions and classes at the top of a module that workers can import"
    )


@functools.cache
def _processor() -> str:
    """Returns the name of what computes here."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return str(device.device_kind)
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # of Linux alone
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()
