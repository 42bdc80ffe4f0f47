"""A lock keeps other processes away, and dies with the process that holds it."""

import os
import signal
import subprocess
import sys

import pytest

from jsplit.folders.lock import locked
from jsplit.types import JsplitError

HOLD = """
import pathlib, sys, time
from jsplit.folders.lock import locked
with locked(pathlib.Path(sys.argv[1]), "out"):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("name", ["", "trace.npz"])
def test_a_lock_names_its_holder_and_ends_with_it(tmp_path, name):
    path = tmp_path / name
    process = holder(path)
    words = rf"^out: .* is being written by process {process.pid} on .*; wait"
    try:
        with pytest.raises(JsplitError, match=words), locked(path, "out"):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(os.listdir(tmp_path)) == 1  # the file, which hinders nobody
    with locked(path, "out"):
        pass
    assert os.listdir(tmp_path) == []


def test_one_process_does_not_hold_a_lock_twice(tmp_path):
    again = pytest.raises(JsplitError, match=str(os.getpid()))
    with locked(tmp_path, "out"), again, locked(tmp_path, "out"):
        pass
    with locked(tmp_path, "out"):
        pass
