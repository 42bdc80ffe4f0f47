"""Worker processes of this machine, as an executor.

Here: `Workers`, whose processes are spawned, share out the devices, and are replaced
when they die. Not here: what they do (`parcels`), who hands it out (`work`).
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import pickle
import queue
import re
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import jax

from jsplit import checks
from jsplit.types import JsplitError

MAX_STARTS = 5  # of a worker that dies before it is ready
MAX_WORKERS = 1024
_SPAWN = multiprocessing.get_context("spawn")  # a fork of a process with JAX may hang


class _Call(NamedTuple):
    future: concurrent.futures.Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: dict[str, Any]


class Workers(concurrent.futures.Executor):
    """Processes of this machine, each with its share of the cores or GPUs.

    A process is started when there is work for it. Where one dies, its call ends in
    `BrokenExecutor`, the others go on, and the next call gets a new process. All end
    with this process, however it ends.

    Args:
        number: of processes, >= 1.

    Raises:
        JsplitError: if the number is out of range.

    Example:
        >>> from jsplit.sweeps.workers import Workers
        >>> with Workers(2) as workers:
        ...     workers.submit(divmod, 17, 5).result()
        (3, 2)
    """

    def __init__(self, number: int) -> None:
        self.number = checks.integer("workers", number, 1, MAX_WORKERS)
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._processes: dict[int, Any] = {}
        self._closed = threading.Event()
        self._killed = threading.Event()
        self._threads: list[threading.Thread] = []

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        """Returns the future of a call, which the next free process does."""
        if self._closed.is_set():
            raise RuntimeError("workers were shut down")
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._calls.put(_Call(future, fn, args, kwargs))
        if len(self._threads) < self.number:
            thread = threading.Thread(
                target=self._serve, args=(len(self._threads),), daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes, after what was submitted or, if cancelled, at once."""
        self._closed.set()
        if cancel_futures:
            self._killed.set()
            for process in [*self._processes.values()]:
                process.kill()
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown(cancel_futures=kind is not None)

    def _serve(self, slot: int) -> None:
        """Hands calls to one process after another, until there are none."""
        connection: Connection | None = None
        while (call := self._calls.get()) is not None:
            if self._killed.is_set() or not call.future.set_running_or_notify_cancel():
                call.future.cancel()
                continue
            try:
                if connection is None:
                    connection = self._start(slot)
                connection.send((call.function, call.arguments, call.named))
                is_fine, value = connection.recv()
            except (EOFError, OSError):
                connection = None
                died = concurrent.futures.BrokenExecutor("a worker died")
                call.future.set_exception(died)
            except Exception as error:  # what cannot be pickled, or not be started
                call.future.set_exception(error)
            else:
                if is_fine:
                    call.future.set_result(value)
                else:
                    call.future.set_exception(value)
        if connection is not None:
            connection.close()  # on which the process ends
            self._processes[slot].join()

    def _start(self, slot: int) -> Connection:
        """Returns the connection to a new process that is ready."""
        for _ in range(MAX_STARTS):
            ours, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(
                target=_work, args=(theirs, slot, self.number), daemon=True
            )
            process.start()
            theirs.close()  # so that its death ends `recv`
            self._processes[slot] = process
            if self._killed.is_set():
                process.kill()
                raise EOFError
            with contextlib.suppress(EOFError, OSError):
                ours.recv()
                return ours
            process.join()
        raise JsplitError(
            "workers die while they start; a script that starts workers must do so "
            "under `if __name__ == '__main__':`"
        )


def _work(connection: Connection, slot: int, number: int) -> None:
    """Does calls until the other side is gone; what a process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _share_devices(slot, number)
    with contextlib.suppress(EOFError, OSError):
        connection.send(None)
        while True:
            function, arguments, named = connection.recv()
            try:
                answer = True, function(*arguments, **named)
            except Exception as error:
                answer = False, _portable(error)
            connection.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # a parent that was killed could not say so


def _portable(error: Exception) -> Exception:
    """Returns an error that can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # their `__reduce__` may do anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _share_devices(slot: int, number: int) -> None:
    """Gives this process its own GPU or its share of the cores, before JAX starts."""
    gpus = _gpus()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
        on_each = -(-number // len(gpus))
        if on_each > 1:
            os.environ.setdefault(
                "XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / on_each:.3f}"
            )
    by_user = "JSPLIT_CPU_DEVICES" in os.environ or (
        "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    )
    if not by_user:
        cores = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
        jax.config.update("jax_num_cpu_devices", max(1, cores // number))


def _gpus() -> list[str]:
    """Returns the NVIDIA GPUs that this process may use, without starting JAX."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one for one in visible.split(",") if one.strip()]
    found = [path.name for path in pathlib.Path("/dev").glob("nvidia[0-9]*")]
    numbers = [int(name[6:]) for name in found if re.fullmatch(r"nvidia\d+", name)]
    return [str(place) for place in range(len(numbers))]
