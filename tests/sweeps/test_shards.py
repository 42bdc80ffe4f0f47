"""One sweep in several folders, and a folder that several processes work in."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from small_sweeps import HOW, POLICIES, TRACE, one_place_each, swept  # noqa: F401

import jsplit
from jsplit import cli, writing
from jsplit.folders.taken import STALE_SECONDS, Taken
from jsplit.sweeps import merge, parcels, status, tasks
from jsplit.types import JsplitError


@pytest.fixture(scope="module")
def alone():
    return swept()


@pytest.fixture
def shards(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for i, folder in enumerate(folders, 1):
        swept(out=folder, shard=(i, 3))
    return folders


def parts(folder):
    return sorted(path.name for path in folder.glob("*.nc.gz"))


def test_merged_shards_are_the_sweep(alone, shards, tmp_path):
    assert [len(parts(folder)) for folder in shards] == [2, 2, 1]
    found = merge(shards, tmp_path / "all")
    assert (found.finished, found.parts, found.notes) == (5, 5, [])
    assert found.runs is not None
    assert found.runs.data.equals(alone.data)
    assert found.runs.attrs["without"] == alone.attrs["without"]
    assert found.runs.best().equals(alone.best())


def test_equal_environments_of_two_names_share_a_part(tmp_path):
    traces = {"one": TRACE, "two": TRACE}
    how = {"over": {"alpha": [0.6, 0.8]}, "out": tmp_path / "a", **HOW}
    runs = jsplit.sweep(traces, POLICIES, jsplit.Costs.splitee(3), **how)
    assert len(parts(tmp_path / "a")) == 1
    found = merge([tmp_path / "a"], tmp_path / "all")
    assert found.runs is not None
    assert found.runs.data.equals(runs.data)
    assert status(tmp_path / "a").finished_cells == 4


def test_a_sweep_goes_on_in_what_was_merged(alone, shards, tmp_path, monkeypatch):
    damaged = shards[1] / parts(shards[1])[0]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    found = merge(shards, tmp_path / "all")
    assert found.runs is None
    assert found.finished == 4
    (note,) = found.notes
    assert note.startswith(f"left out: {damaged} is damaged")
    performed = []
    perform = parcels.perform
    monkeypatch.setattr(
        parcels,
        "perform",
        lambda task, *rest: performed.append(task) or perform(task, *rest),
    )
    assert swept(out=tmp_path / "all" / "parts").data.equals(alone.data)
    assert len(performed) == 1
    again = merge([tmp_path / "all"], tmp_path / "all")
    assert again.runs is not None


def test_mixtures_and_other_numbers_are_named(shards, tmp_path):
    path = shards[0] / parts(shards[0])[0]
    part = jsplit.results.chunk.Chunk.load(path)
    part.data.attrs["processor"] = "Abacus 3"
    part.data["mean"] += 1
    part.save(path)
    swept(out=tmp_path / "d")
    found = merge([tmp_path / "d", *shards[1:]], tmp_path / "all")
    assert found.notes == []
    found = merge([*shards, tmp_path / "d"], tmp_path / "mixed")
    other, mixture = found.notes
    assert other.endswith("has other numbers than the one taken")
    assert "a mixture of processor: " in mixture
    assert "Abacus 3 (1)" in mixture


def test_what_cannot_be_merged_is_one_line(shards, tmp_path):
    swept(out=tmp_path / "other", seed=4)
    with pytest.raises(JsplitError, match=r"holds another sweep: seed was 4, is 3"):
        merge([*shards, tmp_path / "other"], tmp_path / "all")
    with pytest.raises(JsplitError, match="at least one folder, got none"):
        merge([], tmp_path / "all")
    with pytest.raises(JsplitError, match="no folder of a sweep"):
        merge([tmp_path / "nothing"], tmp_path / "all")
    (shards[0] / "parts.json").write_text("[]")
    with pytest.raises(JsplitError, match=r"parts\.json is missing or damaged"):
        merge(shards[:1], tmp_path / "all")


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1,), "1/3", 1])
def test_shares_that_are_none(shard, tmp_path):
    with pytest.raises(JsplitError, match="shard"):
        swept(out=tmp_path, shard=shard)


def test_a_share_for_which_there_are_too_few_parts_is_empty(tmp_path):
    found = swept(out=tmp_path / "last", shard=(99, 99))
    assert np.isnan(found.data["mean"]).all()
    assert not parts(tmp_path / "last")
    swept(out=tmp_path / "first", shard=(1, 99))
    found = merge([tmp_path / "first", tmp_path / "last"], tmp_path / "all")
    assert (found.finished, found.runs) == (1, None)


def test_status_says_how_far_a_folder_is(shards):
    damaged = shards[0] / parts(shards[0])[0]
    damaged.write_bytes(b"half")
    found = status(shards[0])
    assert (found.finished, found.parts) == (1, 5)
    assert (found.finished_cells, found.cells) == (2, 10)
    assert found.host == socket.gethostname()
    assert found.written is not None
    assert abs(found.written.timestamp() - time.time()) < 600
    (problem,) = found.damaged
    assert str(damaged) in problem
    assert damaged.exists()


def test_a_foreign_part_is_set_aside(alone, tmp_path):
    """Though its shape fits: it says which part it is."""
    swept(out=tmp_path)
    one, two, *_ = parts(tmp_path)
    (tmp_path / one).write_bytes((tmp_path / two).read_bytes())
    assert swept(out=tmp_path).data.equals(alone.data)
    assert len([*tmp_path.glob("*.damaged")]) == 1


def test_files_of_dead_processes_are_removed(tmp_path):
    swept(out=tmp_path)
    name = parts(tmp_path)[0].removesuffix(".nc.gz")
    host = writing._host()
    left = tmp_path / f".{name}.nc.{host}-{_dead()}-12ab34cd.tmp.gz"
    lives = tmp_path / f".{name}.nc.{host}-{os.getppid()}-12ab34cd.tmp.gz"
    other = tmp_path / ".sweep.abcdef-1-12ab34cd.tmp.json"  # of another host
    for path in (left, lives, other):
        path.write_bytes(b"half")
    swept(out=tmp_path)
    assert not left.exists()
    assert lives.exists()
    assert other.exists()
    os.utime(other, (0, 0))
    swept(out=tmp_path)
    assert not other.exists()


def _dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_part_is_taken_by_one_process_that_lives(tmp_path):
    ours, theirs = Taken(tmp_path), Taken(tmp_path)
    assert ours.take("a")
    assert ours.take("a")
    assert not theirs.take("a")
    ours.release("a")
    assert theirs.take("a")
    theirs.release_all()
    for words, age, is_free in (
        (f"{socket.gethostname()} {_dead()}", 0, True),
        ("elsewhere 1", 0, False),
        ("elsewhere 1", 2 * STALE_SECONDS, True),
        ("", 0, False),
        ("", 60, True),
    ):
        path = tmp_path / "b.taken"
        path.write_text(words)
        then = time.time() - age
        os.utime(path, (then, then))
        assert ours.take("b") == is_free, words
        ours.release("b")
        path.unlink(missing_ok=True)


def test_what_another_process_is_at_is_waited_for(alone, tmp_path, monkeypatch):
    swept(out=tmp_path)
    name = parts(tmp_path)[0]
    finished = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    taken = tmp_path / name.replace(".nc.gz", ".taken")
    taken.write_text(f"{socket.gethostname()} {os.getppid()}")
    monkeypatch.setattr(parcels, "perform", None)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        (tmp_path / name).write_bytes(finished)  # the other one is done

    monkeypatch.setattr(jsplit.sweeps.work.time, "sleep", sleep)
    assert swept(out=tmp_path).data.equals(alone.data)
    assert len(naps) == 1
    assert taken.exists()


def test_the_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PLACES", 1)
    path = str(tmp_path / "small.npz")
    TRACE.save(path)
    command = ["sweep", path, "--over", "offload=0.1,0.3,0.5", "--num-replicas", "8"]
    for shard in ("1/2", "2/2"):
        out = str(tmp_path / shard[0])
        words = ["--shard", shard, "--out", out, "--quiet"]
        assert cli.main([*command, *words]) == 0
    assert "share 2/2 is finished" in capsys.readouterr().out
    assert cli.main(["sweep", "--status", str(tmp_path / "1"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["finished"] == 2
    assert cli.main(["sweep", "--status", str(tmp_path / "1")]) == 0
    assert "2/3 parts, 2/3 cells, 0 at work" in capsys.readouterr().out
    folders = [str(tmp_path / name) for name in "12"]
    assert cli.main(["merge", *folders, "--out", str(tmp_path / "all")]) == 0
    assert "3 of 3 parts" in capsys.readouterr().out
    written = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert written == ["parts", "sweep.nc.gz", "table.csv"]
    workers = ["--workers", "1", "--quiet", "--out", str(tmp_path / "w")]
    assert cli.main([*command, *workers]) == 0
    merged = jsplit.Runs.load(tmp_path / "all" / "sweep.nc.gz")
    assert jsplit.Runs.load(tmp_path / "w" / "sweep.nc.gz").data.equals(merged.data)


BAD = {
    "sweep": "trace must be given",
    "sweep a.npz --shard 4/3 --out x": "1 <= i <= n, got '4/3'",
    "sweep a.npz --shard 1": "shard needs a folder",
    "sweep a.npz --shard 1 --out x": "shard must be i/n",
    "sweep --status nothing": "no folder of a sweep",
    "merge": "at least one folder, got none",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_commands_are_one_line(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert BAD[command] in line
