"""`jsplit sweep`, as typed."""

import json

import pytest
from conftest import random_trace

import jsplit
from jsplit import cli
from jsplit.commands.axes import parse_axes
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


def test_draws_and_axes_that_vary_together():
    texts = ["alpha=~0.5:0.9", "beta=~0.1:10:log", "offload,horizon=0.1/20, 0.2/40"]
    found = parse_axes(texts, draws=4, seed=1)
    assert found[("offload", "horizon")] == [(0.1, 20), (0.2, 40)]
    ranges = {"alpha": [0.5, 0.9], "beta": [0.1, 10, "log"]}
    points = jsplit.random_axes(ranges, 4, seed=1)[("alpha", "beta")]
    assert found[("alpha", "beta")] == points
    for bad, draws, message in (
        (["alpha=~0.5:0.9"], None, "draws must say"),
        (["alpha=0.5,0.9"], 5, "draws must say"),
        (["alpha=~0.5"], 5, "must be ~LOW:HIGH"),
        (["alpha=~a:b"], 5, "must be ~LOW:HIGH"),
        (["a,b=1/2,3"], None, "must have 2 values at every point"),
    ):
        with pytest.raises(JsplitError, match=message):
            parse_axes(bad, draws)


FILE = """
trace = "{trace}"
policies = ["splitee", "final_exit"]
num-replicas = 8
metric = "cost"
fit = ["best_split"]
quiet = true

[over]
offload = [0.1, 0.3]
"alpha,beta" = [[0.6, 1.0], [0.7, 2.0]]
"""


def test_a_file_is_as_its_flags_and_flags_win(trace, capsys, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(FILE.format(trace=trace))
    assert cli.main(["sweep", str(path), "--json", "--seed", "2"]) == 0
    of_file = json.loads(capsys.readouterr().out)
    flags = ["--num-replicas", "8", "--metric", "cost", "--seed", "2", "--json"]
    over = ["offload=0.1,0.3", "alpha,beta=0.6/1.0,0.7/2.0"]
    words = [trace, *flags, "--fit", "best_split", "--quiet", "--over", *over]
    assert cli.main(["sweep", *words]) == 0
    assert json.loads(capsys.readouterr().out) == of_file
    few = ["--over", "offload=0.2", "--policies", "splitee", "--num-replicas", "4"]
    assert cli.main(["sweep", str(path), *few, "--show"]) == 0
    assert "1 cells, 2 evaluations of one policy with 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("metrics = 5", "did you mean 'metric'"),
        ('num_replicas = "many"', "many"),
        ("metric = {a = 1}", "metric must not be a table"),
        ("metric =", "is not TOML"),
    ],
)
def test_a_bad_file_is_one_line(trace, capsys, tmp_path, line, message):
    path = tmp_path / "study.toml"
    path.write_text(f'trace = "{trace}"\n{line}\n')
    assert cli.main(["sweep", str(path)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("jsplit: ")
    assert message in said


def test_show_runs_nothing(trace, capsys):
    assert cli.main(["sweep", trace, *AXES, "--show"]) == 0
    out = capsys.readouterr().out
    assert "alpha: 0.6, 0.7, 0.8" in out
    assert "6 cells, 8 evaluations of one policy with 1,024 replicas each" in out
    assert "about 0:00:" in out


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


def test_cells_may_stop_early_and_be_confirmed(trace, capsys):
    words = ["sweep", trace, "--over", "offload=0.1,0.5", "--num-replicas", "512"]
    race = ["--race", "cost", "--confirm-top", "2"]
    assert cli.main([*words, *race]) == 0
    said = capsys.readouterr()
    assert "replicas saved (" in said.err
    assert "fresh replicas: cost" in said.out
    assert cli.main([*words, *race, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["confirmed"]) == 2
    until = ["--metric", "cost", "--until-half-width", "0.05", "--max-replicas", "256"]
    assert cli.main([*words, *until]) == 0
    assert "of 1,024 replicas saved" in capsys.readouterr().err
