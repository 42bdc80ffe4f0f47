"""Progress: lines where nobody watches, a bar on a terminal, silence if asked for."""

import io
import re
import threading

import pytest
import rich.console
from conftest import random_trace

import jsplit
from jsplit import cli, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved: clock[0] in seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_lines_come_every_few_seconds_and_at_the_end(clock, capsys):
    with progress.counted("replaying", 4000, show=True) as count:
        for _ in range(4):
            clock[0] += 3
            count.advance(1000, note="all well")
    assert capsys.readouterr() == (
        "",
        "replaying: 2,000/4,000 in 0:00:06, about 0:00:06 left; all well\n"
        "replaying: 4,000/4,000 in 0:00:12; all well\n",
    )


def test_what_was_done_before_is_no_speed(clock, capsys):
    with progress.counted("training", 100, show=True, done=80) as count:
        clock[0] += 20
        count.advance(10)
        count.line("epoch 1/1")
        count.advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "training: 90/100 in 0:00:20, about 0:00:20 left",
        "epoch 1/1",
        "training: 100/100 in 0:00:20",
    ]


def test_items_are_watched_and_an_error_ends_without_a_line(capsys):
    assert list(progress.watched([3, 1], "reading", show=True)) == [3, 1]
    assert re.fullmatch(r"reading: 2/2 in 0:00:00\n", capsys.readouterr().err)
    watched = progress.watched([1, 0], "reading", show=True)
    with pytest.raises(ZeroDivisionError):
        [1 / number for number in watched]
    del watched
    with pytest.raises(KeyError), progress.counted("reading", 2, show=True):
        raise KeyError
    assert capsys.readouterr().err == ""


def test_silence_is_kept(capsys):
    assert list(progress.watched("ab", "reading", show=False)) == ["a", "b"]
    with progress.counted("reading", 2, show=False) as count:
        count.advance(2, "note")
        count.line("line")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar_that_vanishes(monkeypatch, capsys):
    file = io.StringIO()
    terminal = rich.console.Console(file=file, force_terminal=True, width=100)
    monkeypatch.setattr(rich.console, "Console", lambda stderr: terminal)
    with progress.counted("replaying", 10, show=True) as count:
        count.advance(4, note="epoch 2")
        count.line("not beside a bar")
    shown = file.getvalue()
    for part in ("replaying", "40%", "epoch 2", "\x1b[2K"):
        assert part in shown
    assert "not beside a bar" not in shown
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("quick_compile")
def test_a_piped_evaluation_is_not_silent_unless_asked(tmp_path, capsys):
    random_trace(30, 3).save(tmp_path / "trace.npz")
    command = ["evaluate", str(tmp_path / "trace.npz"), "final_exit", "offload_all"]
    command += ["--num-replicas", "8", "--json"]
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    *_, done, read = err.splitlines()  # more where compiling takes long
    assert re.fullmatch(r"replaying: 16/16 replicas in 0:00:\d\d, [\d.,]+/s", done)
    assert read.startswith("trace.npz: 30 samples, 3 exits; ")
    assert out.startswith("{")
    assert cli.main([*command, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    jsplit.evaluate(
        random_trace(30, 3), ["final_exit"], jsplit.Costs.splitee(3), num_replicas=8
    )
    assert capsys.readouterr().err == ""


def test_a_unit_shows_a_rate(clock, capsys):
    with progress.counted("sweeping", 4000, show=True, unit="replicas") as count:
        clock[0] += 4
        count.advance(2000, note="2 of 4 cells")
        clock[0] += 4
        count.advance(1000)
    assert capsys.readouterr().err == (
        "sweeping: 3,000/4,000 replicas in 0:00:08, 375/s, about 0:00:03 left; "
        "2 of 4 cells\n"
    )


def test_a_silent_body_has_lines_too(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    said = threading.Event()
    write = progress._Lines.line

    def line(self, text):
        write(self, text)
        said.set()

    monkeypatch.setattr(progress._Lines, "line", line)
    with progress.counted("replaying", 8, show=True) as count:
        count.advance(0, note="compiling splitee")
        assert said.wait(30)
    first = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(r"replaying: 0/8 in 0:00:\d\d; compiling splitee", first)
