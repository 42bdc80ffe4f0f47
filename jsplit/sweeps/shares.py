"""Which tasks are whose, where several machines do a sweep.

Here: shares that are asked for (`share_of`), and those of the processes of one job
(`job_share`). Not here: tasks (`tasks`), folders put together (`merging`).
"""

import os
from collections.abc import Sequence
from typing import Any

import jax

from jsplit import checks
from jsplit.sweeps.tasks import Task
from jsplit.types import JsplitError


def share_of(tasks: Sequence[Task], shard: Any) -> list[Task]:
    """Returns every n-th task, from the i-th on: none if there are fewer than i.

    Args:
        tasks: all of them.
        shard: (i, n), 1 <= i <= n.

    Raises:
        JsplitError: if the shard is no such pair.
    """
    pair = checks.entries("shard", shard)
    if len(pair) != 2:
        raise JsplitError(f"shard must be (i, n), such as (1, 3), got {shard!r}")
    number = checks.integer("n of shard", pair[1], 1)
    which = checks.integer("i of shard", pair[0], 1, number)
    return [*tasks[which - 1 :: number]]


def read_shard(text: str) -> tuple[int, int]:
    """Returns (i, n) of a text such as "1/3".

    Raises:
        JsplitError: if it is no share.

    Example:
        >>> from jsplit.sweeps.shares import read_shard
        >>> read_shard("2/3")
        (2, 3)
    """
    which, slash, number = text.partition("/")
    if not (slash and which.isdecimal() and number.isdecimal()):
        raise JsplitError(f"shard must be i/n, such as 1/3, got {text!r}")
    if not 1 <= int(which) <= int(number):
        raise JsplitError(f"shard must be i/n with 1 <= i <= n, got {text!r}")
    return int(which), int(number)


def job_share(tasks: Sequence[Task], out: str | os.PathLike[str] | None) -> list[Task]:
    """Returns the tasks in the order in which this process of a job does them.

    Its own share comes first. The shares of others follow: by then they are finished,
    or others are at them, or nobody is any more.

    Args:
        tasks: all of them.
        out: folder that all processes of the job see.

    Raises:
        JsplitError: if `jax.distributed` joins several processes and there is no
            folder.
    """
    if not _in_job():
        return [*tasks]
    if out is None:
        raise JsplitError(
            "out must be a folder that all processes of the job see, got None"
        )
    first, number = jax.process_index(), jax.process_count()
    return [
        task
        for turn in range(number)
        for task in tasks[(first + turn) % number :: number]
    ]


def own_devices() -> list[Any] | None:
    """Returns this process's devices in a job of several; None where it has all."""
    return jax.local_devices() if _in_job() else None


def _in_job() -> bool:
    return jax.distributed.is_initialized()
