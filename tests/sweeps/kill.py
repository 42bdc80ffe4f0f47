"""A sweep that is killed again and again: what is left, and what was done twice.

Run by hand, `python tests/sweeps/kill.py 50`, or a little of it by a slow test. Each
kill hits the parent or a worker, at a random moment or while a part is being written;
now and then the disk is full.
"""

import collections
import dataclasses
import errno
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import jsplit
from jsplit import writing
from jsplit.sweeps import Workers, parcels, tasks

CELLS = int(os.environ.get("KILL_CELLS", "400"))
SLOW = 0.15  # seconds that are added to each part
WORKERS = 2
IN_FLIGHT = 2 * WORKERS

tasks.MAX_PLACES = 1
_perform, _fsync = parcels.perform, os.fsync
_writes = 0


def log(*words):
    with open(os.environ["KILL_LOG"], "a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def slowly(task, advance, *rest):
    log("begin", task.name, os.getpid())
    time.sleep(SLOW)
    return _perform(task, advance, *rest)


def full(descriptor):
    global _writes
    _writes += 1
    if _writes > 6:
        raise OSError(errno.ENOSPC, "No space left on device")
    _fsync(descriptor)


def sweep(out=None, executor=None):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, (40, 3))
    trace = jsplit.Trace.from_arrays(confidence, correct=confidence > 0.6)
    over = {"offload": [float(f"{x:.12g}") for x in np.linspace(0.1, 0.5, CELLS)]}
    how = {"num_replicas": 16, "out": out, "executor": executor}
    policies = ["splitee", "final_exit"]
    return jsplit.sweep(trace, policies, jsplit.Costs.splitee, over, **how)


@dataclasses.dataclass
class Report:
    kills: collections.Counter
    full_disks: int
    parts: int
    begun: int  # how often a part was begun
    repeated: int  # parts begun again though they were finished
    most_in_flight: int
    leftovers: list  # files that are no parts
    same: bool  # as an undisturbed sweep, bit for bit
    seconds: float


def hammer(folder, num_kills, seed=0):
    folder = pathlib.Path(folder)
    rng = random.Random(seed)
    out, journal = folder / "out", folder / "log"
    os.environ["KILL_LOG"] = str(journal)
    journal.touch()
    kills, full_disks, start = collections.Counter(), 0, time.monotonic()
    finished, seen, repeated, lost = set(), 0, 0, []
    process = None

    def look():
        """Counts parts begun although they had been finished."""
        nonlocal seen, repeated, finished
        lines = journal.read_text().splitlines()
        repeated += sum(line.split()[1] in finished for line in lines[seen:])
        begun = {line.split()[1] for line in lines[seen:]}
        seen = len(lines)
        finished = {path.name.split(".")[0] for path in out.glob("*.nc.gz")}
        return begun - finished

    while sum(kills.values()) < num_kills:
        if process is None or process.poll() is not None:
            if process is not None and process.returncode == 0:
                break  # finished before the last kill
            is_full = rng.random() < 0.1
            full_disks += is_full
            kind = "full" if is_full else rng.choice(["here", "workers", "workers"])
            process = child(kind, out)
        before = len(journal.read_text())
        while process.poll() is None and len(journal.read_text()) == before:
            time.sleep(0.02)
        moment = rng.choice(["any", "any", "writing"])
        until = time.monotonic() + (rng.uniform(0, 2) if moment == "any" else 5)
        while process.poll() is None and time.monotonic() < until:
            if moment == "writing" and any(out.glob(".*.tmp*")):
                break
            time.sleep(0.02 if moment == "any" else 0)
        if process.poll() is not None:
            continue
        workers = children(process.pid)
        victim = rng.choice(workers) if workers and rng.random() < 0.5 else process.pid
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        kills[("parent" if victim == process.pid else "worker") + ", " + moment] += 1
        if victim == process.pid:
            process.wait()
            time.sleep(0.3)  # in which its workers end
            lost.append(len(look()))
    process.wait()
    for _ in range(3):
        if child("workers", out).wait() == 0:
            break
    look()
    with Workers(1) as workers:
        same = sweep(out, workers).data.equals(sweep().data)
    left = [x.name for x in out.iterdir() if not x.name.endswith(".nc.gz")]
    begun = sum(1 for line in journal.read_text().splitlines()[: seen or None])
    return Report(
        kills,
        full_disks,
        len([*out.glob("*.nc.gz")]),
        begun,
        repeated,
        max(lost, default=0),
        sorted(left),
        same,
        round(time.monotonic() - start),
    )


def child(kind, out):
    with open(os.environ["KILL_LOG"] + ".err", "a") as errors:
        return subprocess.Popen(
            [sys.executable, __file__, kind, str(out)], stderr=errors
        )


def children(pid):
    """The workers of a process: its children, but the one that tracks resources."""
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    found = []
    for task in path.parents[1].glob("*/children"):
        try:
            pids = task.read_text().split()
        except OSError:
            continue
        for one in pids:
            try:
                line = pathlib.Path(f"/proc/{one}/cmdline").read_text()
            except OSError:
                continue
            if "spawn_main" in line:
                found.append(int(one))
    return found


def main(kind, out):
    if kind == "full":
        writing.os.fsync = full
    if kind == "workers":
        with Workers(WORKERS) as workers:
            sweep(out, workers)
    else:
        sweep(out)


if __name__ in ("__main__", "__mp_main__") and "KILL_LOG" in os.environ:
    parcels.perform = slowly  # in workers too, which read this file again

if __name__ == "__main__":
    if len(sys.argv) == 3:
        try:
            main(*sys.argv[1:])
        except jsplit.JsplitError as error:
            sys.exit(f"jsplit: {error}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = hammer(folder, int(sys.argv[1]))
            print(found)
            errors = pathlib.Path(folder, "log.err").read_text()
            print(collections.Counter(errors.splitlines()).most_common(6))
