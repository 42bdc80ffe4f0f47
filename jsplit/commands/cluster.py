"""`jsplit merge`, and what `jsplit sweep` needs for several workers."""

import contextlib
import dataclasses
import importlib
import logging
import pathlib
from collections.abc import Iterator
from concurrent.futures import Executor

import tyro

from jsplit import checks
from jsplit.commands.common import print_json
from jsplit.extras import naming
from jsplit.types import JsplitError

CONNECT_SECONDS = 8


@dataclasses.dataclass(frozen=True)
class Merge:
    """Put the folders of a sweep's shares together.

    For machines that share nothing: `jsplit sweep ... --shard 1/3 --out a` on the
    first, and so on; then copy the folders. What is damaged or missing is named: the
    sweep itself, without --shard, goes on in the merged folder.

    Example: jsplit merge a b c --out all
    """

    folders: tyro.conf.Positional[tuple[pathlib.Path, ...]] = ()
    """what was given as --out to `jsplit sweep`."""
    out: pathlib.Path = pathlib.Path("merged")
    """folder for all parts and, once complete, sweep.nc.gz and table.csv."""

    def run(self) -> None:
        """Merges the folders."""
        from jsplit import report
        from jsplit.sweeps.merging import merge

        found = merge(self.folders, self.out)
        for note in found.notes:
            print(note)
        print(f"{found.finished:,} of {found.parts:,} parts are in {self.out}")
        if found.runs is None:
            print(f"the same sweep with --out {self.out} computes the others")
            return
        found.runs.save(self.out / "sweep.nc.gz")
        report.to_csv(found.runs.summarize(), self.out / "table.csv")


def print_status(folder: pathlib.Path, *, as_json: bool) -> None:
    """Prints how far the sweep of a folder is."""
    from jsplit.sweeps.merging import status

    found = status(folder)
    if as_json:
        written = found.written and found.written.isoformat(timespec="seconds")
        print_json({**dataclasses.asdict(found), "written": written})
        return
    print(
        f"{found.finished:,}/{found.parts:,} parts, "
        f"{found.finished_cells:,}/{found.cells:,} cells, {found.at_work:,} at work"
    )
    for problem in found.damaged:
        print(f"damaged: {problem}")
    if found.written is not None:
        print(f"last written {found.written:%Y-%m-%d %H:%M:%S} by {found.host}")


@contextlib.contextmanager
def executor_of(workers: int | None, dask: str | None) -> Iterator[Executor | None]:
    """Gives the executor that the options ask for; None for this process.

    Args:
        workers: number of processes.
        dask: address of a Dask scheduler.

    Raises:
        JsplitError: if both are given, or the scheduler cannot be reached.
    """
    if workers is not None and dask is not None:
        raise JsplitError("workers and dask must not both be given, got both")
    if dask is not None:
        with _dask(dask) as executor:
            yield executor
    elif workers is not None:
        from jsplit.sweeps.workers import Workers

        with Workers(workers) as executor:
            yield executor
    else:
        yield None


@contextlib.contextmanager
def _dask(address: str) -> Iterator[Executor]:
    with naming("--dask"):
        distributed = importlib.import_module("distributed")

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are ours
    try:
        client = distributed.Client(
            address, timeout=CONNECT_SECONDS, set_as_default=False
        )
    except (OSError, ValueError, TypeError, ImportError) as error:
        reason = checks.shown(str(error), 100)
        raise JsplitError(f"dask: cannot reach {address}: {reason}") from None
    with client:
        yield client.get_executor()
