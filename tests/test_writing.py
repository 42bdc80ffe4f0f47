import os
import subprocess
import sys

import pytest

from jsplit import writing
from jsplit.types import JsplitError
from jsplit.writing import make_folder


def test_a_folder_is_made_with_those_above_it_and_left_empty(tmp_path):
    make_folder(tmp_path / "a" / "b", "out")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    make_folder(tmp_path / "a", "out")  # it is there already


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    message = r"^out: cannot write into .*file/net: Not a directory; try elsewhere$"
    with pytest.raises(JsplitError, match=message):
        make_folder(tmp_path / "file" / "net", "out", "; try elsewhere")


def test_a_folder_that_cannot_be_written_into_is_one_line(monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", dir)

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(JsplitError, match=r"^out: cannot write into .*: Permission"):
        make_folder(tmp_path, "out")


def left(folder, pid, host=None):
    """A temporary file and a temporary folder of a process."""
    host = writing._host() if host is None else host
    file = folder / f".a.{host}-{pid}-0123abcd.tmp.txt"
    file.write_text("half")
    inside = folder / f".data.{host}-{pid}-0123abcd.tmp"
    inside.mkdir()
    (inside / "inputs.npy").write_text("half")
    return {file.name, inside.name}


def names(folder):
    return {path.name for path in folder.iterdir()}


def dead_pid():
    return subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    left(tmp_path, dead_pid())
    alive, away = left(tmp_path, os.getppid()), left(tmp_path, 1, "abcdef")
    (tmp_path / ".notes.tmp").write_text("of somebody")
    writing.write_text(tmp_path / "b.txt", "whole")
    assert names(tmp_path) == {"b.txt", ".notes.tmp", *alive, *away}


def test_what_another_host_has_not_touched_for_an_hour_is_removed(tmp_path):
    for name in left(tmp_path, 1, "abcdef"):
        os.utime(tmp_path / name, (0, 0))
    make_folder(tmp_path, "out")
    assert names(tmp_path) == set()


def test_a_folder_that_is_not_renamed_vanishes(tmp_path):
    with writing.temporary_folder(tmp_path, "a") as x:
        (x / "inputs.npy").write_text("half")
    assert names(tmp_path) == set()
    with writing.temporary_folder(tmp_path, "a") as x:
        (x / "inputs.npy").write_text("whole")
        x.rename(tmp_path / "a")
    assert names(tmp_path) == {"a"}
