"""Works off the tasks of a sweep: finished ones from the folder, others by replaying.

Here: in which order, and what is kept. Not here: what a task is or does (`tasks`),
files (`chunks`).
"""

from collections.abc import Iterable, Iterator

from jsplit.progress import Count
from jsplit.results.runs import Chunk
from jsplit.sweeps.chunks import Folder
from jsplit.sweeps.tasks import Task, perform


def work_off(
    tasks: Iterable[Task], folder: Folder, count: Count
) -> Iterator[tuple[Task, Chunk]]:
    """Yields every task with its chunk, in order.

    Args:
        tasks: what there is to do.
        folder: where finished ones lie.
        count: counts replicas.
    """
    for task in tasks:
        chunk = folder.find(task)
        for problem in folder.set_aside:
            count.line(f"computed again: {problem}")
        folder.set_aside.clear()
        if chunk is None:
            chunk = perform(task, count.advance)
            folder.keep(task, chunk)
        else:
            count.advance(task.num_replicas)
        yield task, chunk
