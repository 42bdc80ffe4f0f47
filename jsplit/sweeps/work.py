"""Works off the tasks of a sweep: finished ones from the folder, others by replaying.

Here: in which order, by whom, and what happens when a worker dies. Not here: what a
task is or does (`tasks`), how it travels (`parcels`), files (`chunks`).
"""

import collections
import concurrent.futures
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jsplit import checks
from jsplit.progress import Count
from jsplit.results.chunk import Chunk
from jsplit.sweeps.chunks import Folder
from jsplit.sweeps.parcels import Missing, Parcel, do, pack, signed
from jsplit.sweeps.tasks import Task
from jsplit.types import JsplitError

Done = tuple[Task, Chunk]
Work = Callable[[Iterable[Task]], Iterator[Done]]

MAX_LOSSES = 20  # of workers in a row, with nothing done between them
AHEAD = 2  # tasks that are handed out for every worker
UNKNOWN = 8  # workers of an executor that does not say how many it has
WAIT_SECONDS = 0.2  # between two looks at the parts of other processes


def work_off(
    tasks: Iterable[Task],
    folder: Folder,
    count: Count,
    executor: concurrent.futures.Executor | None = None,
) -> Iterator[Done]:
    """Yields every task with its chunk, in order or, with an executor, as they come.

    What another process on the same folder is at comes last, from the folder.

    Args:
        tasks: what there is to do.
        folder: where finished ones lie.
        count: counts replicas.
        executor: whose workers do them; None for this process.

    Raises:
        JsplitError: if a task cannot travel or fails, or workers keep dying.
    """
    crew = _Crew(executor, count, folder)
    todo = collections.deque(tasks)
    left_in_row = 0  # tasks of others, with nothing started between them
    try:
        while todo or crew.is_busy:
            if todo and not crew.is_full and left_in_row < len(todo):
                task = todo.popleft()
                chunk = _find(task, folder, count)
                if chunk is not None:
                    left_in_row = 0
                    count.advance(task.num_replicas)
                    yield task, chunk
                elif not folder.take(task):
                    left_in_row += 1
                    todo.append(task)
                elif (chunk := _find(task, folder, count)) is not None:
                    folder.release(task)  # finished between the two looks
                    count.advance(task.num_replicas)
                    yield task, chunk
                else:
                    left_in_row = 0
                    crew.start(task)
            elif not crew.is_busy:
                time.sleep(WAIT_SECONDS)
                left_in_row = 0
            for task, chunk in crew.finished():
                folder.keep(task, chunk)
                yield task, chunk
    finally:
        crew.dismiss()
        folder.release_all()


def _find(task: Task, folder: Folder, count: Count) -> Chunk | None:
    chunk = folder.find(task)
    for problem in folder.set_aside:
        count.line(f"computed again: {problem}")
    folder.set_aside.clear()
    return chunk


class _Crew:
    """Those who do tasks: the workers of an executor, or this process."""

    def __init__(
        self,
        executor: concurrent.futures.Executor | None,
        count: Count,
        folder: Folder,
    ) -> None:
        self._executor = _checked(executor)
        self._count = count
        self._folder = folder
        self._capacity = AHEAD * _num_workers(executor)
        self._at_work: dict[concurrent.futures.Future[Any], tuple[Task, Parcel]] = {}
        self._done: list[Done] = []
        self._num_calls = 0
        self._num_losses = 0
        self._shared: dict[str, Any] = {}  # handles of traces, where there are such

    @property
    def is_busy(self) -> bool:
        return bool(self._at_work or self._done)

    @property
    def is_full(self) -> bool:
        return bool(self._done) or len(self._at_work) >= self._capacity

    def start(self, task: Task) -> None:
        """Hands a task out, or does it here."""
        if self._executor is None:
            self._do(task)
        else:
            parcel = pack(task)
            self._hand_out(task, parcel, self._known(parcel))

    def finished(self) -> list[Done]:
        """Returns what is done; waits for one if no more can be started."""
        if self._at_work and not self._done:
            done, _ = concurrent.futures.wait(
                self._at_work,
                timeout=WAIT_SECONDS,
                return_when=concurrent.futures.FIRST_COMPLETED,
            )
            # One that dies may take the calls of others with it.
            self._num_losses += any(map(_is_lost, done))
            for future in done:
                self._take_in(future)
        done, self._done = self._done, []
        return done

    def dismiss(self) -> None:
        """Takes back what was not begun."""
        for future in self._at_work:
            future.cancel()

    def _do(self, task: Task) -> None:
        midway = self._folder.midway(task)
        self._done.append((task, signed(task, self._count.advance, midway)))

    def _hand_out(self, task: Task, parcel: Parcel, traces: Any) -> None:
        self._num_calls += 1
        if self._executor is None:
            self._do(task)
            return
        try:
            future = self._executor.submit(do, parcel.content, traces, self._num_calls)
        except concurrent.futures.BrokenExecutor:  # and it was not ours to mend
            self._count.line("the executor is broken: the rest is done in this process")
            self._executor = None
            self._hand_out(task, parcel, traces)
        except RuntimeError as error:
            raise JsplitError(
                f"executor takes no more work: {checks.shown(str(error))}"
            ) from error
        else:
            self._at_work[future] = task, parcel

    def _take_in(self, future: concurrent.futures.Future[Any]) -> None:
        task, parcel = self._at_work.pop(future)
        try:
            answer = future.result()
        except JsplitError:
            raise
        except (Exception, concurrent.futures.CancelledError) as error:
            if not _is_lost(future):
                raise JsplitError(
                    f"part {task.name} failed in a worker: {type(error).__name__}: "
                    f"{checks.shown(str(error), 120)}"
                ) from error
            if self._num_losses >= MAX_LOSSES:
                raise JsplitError(
                    f"workers died {MAX_LOSSES} times with nothing done between, last "
                    f"at part {task.name}; is there enough memory for so many?"
                ) from error
            self._count.line(f"a worker died: part {task.name} is handed out again")
            self._hand_out(task, parcel, {})
            return
        if isinstance(answer, Missing):
            traces = {sha256: parcel.traces[sha256] for sha256 in answer.traces}
            self._hand_out(task, parcel, traces)
            return
        self._num_losses = 0
        self._count.advance(task.num_replicas)
        self._done.append((task, answer))

    def _known(self, parcel: Parcel) -> Any:
        """Returns what goes with a first parcel: nothing, or Dask's handle of traces.

        Dask moves what it was given once to every worker that needs it.
        """
        client = getattr(self._executor, "_client", None)
        if client is None or not hasattr(client, "scatter"):
            return {}
        key = " ".join(sorted(parcel.traces))
        if key not in self._shared:
            self._shared[key] = client.scatter(dict(parcel.traces), hash=False)
        return self._shared[key]


def _is_lost(future: concurrent.futures.Future[Any]) -> bool:
    """Tells whether it is the worker that failed, not the task."""
    if future.cancelled():
        return True
    error = future.exception()
    # The name is of Dask, which need not be installed.
    is_broken = isinstance(error, concurrent.futures.BrokenExecutor)
    return is_broken or type(error).__name__ in ("KilledWorker", "CancelledError")


def _num_workers(executor: Any) -> int:
    """Returns how many workers an executor has, as far as it says."""
    for name in ("number", "_max_workers"):
        found = getattr(executor, name, None)
        if isinstance(found, int):
            return found
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "nthreads"):
        return max(UNKNOWN, sum(client.nthreads().values()))
    return UNKNOWN


def _checked(executor: Any) -> concurrent.futures.Executor | None:
    """Returns an executor, or raises if it is none or forks this process."""
    if executor is None:
        return None
    if not isinstance(executor, concurrent.futures.Executor):
        raise JsplitError(
            "executor must be a concurrent.futures.Executor, such as "
            f"ProcessPoolExecutor, got {checks.shown(executor)}"
        )
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise JsplitError(
            "executor must not fork, which JAX does not survive: make it with "
            'mp_context=multiprocessing.get_context("spawn")'
        )
    return executor
