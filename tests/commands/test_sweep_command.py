"""`jsplit sweep`, as typed."""

import json

import pytest
from conftest import random_trace

from jsplit import cli
from jsplit.commands.sweep import parse_axes
from jsplit.types import JsplitError


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "small.npz"
    random_trace(40, 3, seed=1).save(path)
    return str(path)


AXES = ("--over", "offload=0.1,0.3", "alpha=0.6:0.8:3")


def test_lists_and_ranges():
    assert parse_axes(["offload=0.1:0.3:3", "beta=0.01:1:3:log", "stream=shuffle"]) == {
        "offload": [0.1, 0.2, 0.3],
        "beta": [0.01, 0.1, 1.0],
        "stream": ["shuffle"],
    }


@pytest.mark.parametrize(
    "text",
    ["offload", "=1", "offload=", "a=1:2", "a=1:2:3:4", "a=1:2:x", "a=0:1:3:log"],
)
def test_what_is_no_axis_is_refused(text):
    with pytest.raises(JsplitError):
        parse_axes([text])
    with pytest.raises(JsplitError, match="every axis once"):
        parse_axes(["a=1", "a=2"])


def test_show_runs_nothing(trace, capsys):
    assert cli.main(["sweep", trace, *AXES, "--show"]) == 0
    out = capsys.readouterr().out
    assert "alpha: 0.6, 0.7, 0.8" in out
    assert "6 cells, 8 evaluations of one policy with 1,024 replicas each" in out


def test_a_sweep_prints_the_best_and_writes_all(trace, capsys, tmp_path):
    command = ["sweep", trace, *AXES, "--num-replicas", "8", "--out", str(tmp_path)]
    assert cli.main([*command, "--quiet"]) == 0
    out = capsys.readouterr().out
    for word in ("splitee", "final_exit", "offload", "alpha", "reward"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 80
    assert "±" in out
    assert "of 6" in out  # cells that may be the best
    written = sorted(path.name for path in tmp_path.iterdir())
    figures = ["curves.png", "front.png", "map.png"]
    assert written == sorted(
        [*figures, "best.csv", "parts", "sweep.nc.gz", "table.csv"]
    )
    assert cli.main([*command, "--json", "--metric", "cost"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["axes"]["offload"] == [0.1, 0.3]
    assert [row["policy"] for row in shown["best"]] == ["splitee", "final_exit"]
    assert [row["num_cells"] for row in shown["best"]] == [6, 2]
    assert cli.main([*command, "--json", "--by", "offload"]) == 0
    rows = json.loads(capsys.readouterr().out)["best"]
    assert [row["offload"] for row in rows] == [0.1, 0.1, 0.3, 0.3]


def test_bad_input_is_one_line(trace, capsys):
    for words in (
        ["--over", "ofload=1"],
        ["--metric", "speed"],
        ["--by", "offload"],
        ["--traces", "no.npz"],
    ):
        assert cli.main(["sweep", trace, *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("jsplit: ")
