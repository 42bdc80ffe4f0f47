"""Wrong input, to the library and to the command, ends in one line that helps."""

import errno
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import xarray
from conftest import random_trace, whole_result

import jsplit
from jsplit import cli
from jsplit.models import load_model
from jsplit.policies import plans
from jsplit.policies.registry import make_policy, parse_policy
from jsplit.results import files
from jsplit.traces import loading
from jsplit.types import JsplitError, Protocol

pytestmark = pytest.mark.core

L = 3
TRACE = random_trace(40, L)
BARE = jsplit.Trace.from_arrays(TRACE.confidence, correct=TRACE.correct)
COSTS = jsplit.Costs.splitee(L)
RESULT = whole_result(xarray.Dataset(coords={"policy": ["splitee", "final_exit"]}))


def evaluate(policies=("final_exit",), trace=TRACE, costs=COSTS, **options):
    return jsplit.evaluate(trace, policies, costs, **{"num_replicas": 2, **options})


# A bad call, and words of its message in order: the argument, the rule, the value.
CALLS = {
    "no trace": (
        lambda: evaluate(trace=None),
        "trace jsplit.Trace NoneType load_trace",
    ),
    "other exits": (
        lambda: evaluate(costs=jsplit.Costs.splitee(5)),
        "costs 3 exits got 5",
    ),
    "no costs": (
        lambda: evaluate(costs=None),
        "costs jsplit.Costs NoneType Costs.splitee(3)",
    ),
    "no replicas": (
        lambda: evaluate(num_replicas=0),
        "num_replicas integer from 1 to 100000000, got 0",
    ),
    "replicas -1": (
        lambda: evaluate(num_replicas=-1),
        "num_replicas integer from 1 to 100000000, got -1",
    ),
    "replicas 2.5": (
        lambda: evaluate(num_replicas=2.5),
        "num_replicas integer from 1 to 100000000, got 2.5",
    ),
    "replicas True": (
        lambda: evaluate(num_replicas=True),
        "num_replicas integer from 1 to 100000000, got True",
    ),
    "replicas many": (
        lambda: evaluate(num_replicas="many"),
        "num_replicas integer from 1 to 100000000, got 'many'",
    ),
    "stream": (
        lambda: evaluate(stream="shufle"),
        "stream one of shuffle, bootstrap, fixed, got 'shufle' mean 'shuffle'?",
    ),
    "horizon 0": (lambda: evaluate(horizon=0), "horizon integer from 1 to got 0"),
    "devices 3": (lambda: evaluate(devices=3), "devices list of JAX devices got 3"),
    "device number": (
        lambda: evaluate(devices=[3]),
        "devices list of JAX devices got [3]",
    ),
    "device twice": (
        lambda: evaluate(devices=[*jax.devices()[:1]] * 2),
        "devices list of JAX devices, each once, got [",
    ),
    "one device": (
        lambda: evaluate(devices=jax.devices()[0]),
        "devices list of JAX devices got Device",
    ),
    "trace 5": (lambda: jsplit.load_trace(5), "path such as got 5"),
    "trace null": (lambda: jsplit.load_trace("a\0b"), "path such as got 'a\\x00b'"),
    "trace to None": (lambda: TRACE.save(None), "path such as got None"),
    "model from None": (lambda: load_model(None), "folder path such as got None"),
    "no trace to calibrate": (
        lambda: jsplit.expected_calibration_error("x"),
        "trace jsplit.Trace str load_trace",
    ),
    "no trace to profile": (
        lambda: jsplit.Profile.of("x", None, None, None),
        "trace jsplit.Trace str load_trace",
    ),
    "policy list": (lambda: make_policy(["a"]), "policy one of splitee, got ['a']"),
    "alpha 1e400": (
        lambda: parse_policy("splitee(alpha=1e400)"),
        "alpha number from 0 to 1, got '1e400'",
    ),
    "seed -1": (lambda: evaluate(seed=-1), "seed integer from 0 to 4294967295 got -1"),
    "seed 2**32": (
        lambda: evaluate(seed=2**32),
        "seed integer from 0 to 4294967295 got 4294967296",
    ),
    "block size 0": (lambda: evaluate(block_size=0), "block_size integer >= 1 got 0"),
    "no checkpoints": (
        lambda: evaluate(num_checkpoints=0),
        "num_checkpoints integer >= 1 got 0",
    ),
    "protocol": (
        lambda: evaluate(protocol="papr"),
        "protocol 'paper' or 'released' got 'papr'",
    ),
    "no policies": (lambda: evaluate([]), "policies at least one got none"),
    "policy 3": (lambda: evaluate([3]), "policies names make_policy got 3"),
    "policy twice": (
        lambda: evaluate(["splitee", make_policy("splitee")]),
        "policies different got 'splitee' twice",
    ),
    "unknown policy": (
        lambda: evaluate(["spliteee"]),
        "policy one of splitee, oracle, got 'spliteee' mean 'splitee'?",
    ),
    "misspelt number": (
        lambda: make_policy("splitee", alhpa=0.5),
        "number of policy splitee one of alpha, beta, got 'alhpa' mean 'alpha'?",
    ),
    "number too many": (
        lambda: make_policy("final_exit", alpha=0.5),
        "policy final_exit takes no numbers, got alpha",
    ),
    "alpha 1.2": (
        lambda: make_policy("splitee", alpha=1.2),
        "alpha number from 0 to 1, got 1.2",
    ),
    "alpha nan": (
        lambda: make_policy("ucb1", alpha=float("nan")),
        "alpha number from 0 to 1, got nan",
    ),
    "alpha word": (
        lambda: make_policy("oracle", alpha="x"),
        "alpha number from 0 to 1, got 'x'",
    ),
    "beta -1": (
        lambda: make_policy("splitee_s", beta=-1),
        "beta finite number >= 0, got -1",
    ),
    "beta huge": (
        lambda: make_policy("splitee", beta=10**400),
        "beta finite number >= 0, got 1000",
    ),
    "beta beyond float32": (
        lambda: make_policy("splitee", beta=1e308),
        "beta must be at most 1e+12, or single precision overflows, got 1e+308",
    ),
    "compute beyond float32": (
        lambda: jsplit.Costs([1e39] * 6),
        "compute must be at most 1e+12, or single precision overflows, got [1e+39",
    ),
    "offload beyond float32": (
        lambda: jsplit.Costs.splitee(6, offload=1e39),
        "offload must be at most 1e+12, or single precision overflows, got 1e+39",
    ),
    "mu beyond float32": (
        lambda: jsplit.Costs([1.0, 2.0], mu=1e36),
        "mu must be at most 1e+12, or single precision overflows, got 1e+36",
    ),
    "mu times costs": (
        lambda: jsplit.Costs([1.0, 2e9], mu=1e9),
        "mu times a cost must be at most 1e+12, or single precision overflows, got mu",
    ),
    "depth 0": (
        lambda: make_policy("fixed_split", depth=0),
        "depth integer >= 1, got 0",
    ),
    "depth > L": (
        lambda: evaluate(["fixed_split(depth=4)"]),
        "depth integer from 1 to 3, got 4",
    ),
    "offload at L": (
        lambda: evaluate(["offload_all(depth=3)"]),
        "depth integer from 0 to 2, got 3",
    ),
    "patience 0": (
        lambda: make_policy("patience_cascade", patience=0),
        "patience integer >= 1, got 0",
    ),
    "threshold -0.5": (
        lambda: make_policy("entropy_cascade", threshold=-0.5),
        "threshold finite number >= 0, got -0.5",
    ),
    "open bracket": (
        lambda: parse_policy("splitee("),
        "policy name or name(number=value, ...), got 'splitee('",
    ),
    "number without value": (
        lambda: parse_policy("splitee(alpha)"),
        "policy splitee number=value, got 'alpha'",
    ),
    "number twice": (
        lambda: parse_policy("splitee(alpha=.5, alpha=.6)"),
        "policy splitee once, got alpha twice",
    ),
    "label with lines": (
        lambda: parse_policy("splitee\n(alpha=\n" + "x" * 900),
        "policy name or name(number=value, ...), got 'splitee",
    ),
    "no label": (lambda: parse_policy(None), "policy name got None"),
    "costs negative": (
        lambda: jsplit.Costs([1, -2]),
        "compute finite and >= 0, got [1.0, -2.0]",
    ),
    "costs nan": (
        lambda: jsplit.Costs([1, 2], offload=[0, np.nan]),
        "offload finite and >= 0, got [0.0, nan]",
    ),
    "costs shape": (
        lambda: jsplit.Costs([1, 2], head=[1, 2, 3]),
        "head number or have shape (2,) got shape (3,)",
    ),
    "costs decreasing": (
        lambda: jsplit.Costs([2, 1]),
        "compute not decrease got [2.0, 1.0]",
    ),
    "costs of one exit": (lambda: jsplit.Costs([1]), "compute at least 2, got (1,)"),
    "costs as words": (
        lambda: jsplit.Costs(["1", "2"]),
        "compute numbers, got ['1', '2']",
    ),
    "costs None": (lambda: jsplit.Costs(None), "compute numbers, got None"),
    "costs ragged": (
        lambda: jsplit.Costs([[1], [2, 3]]),
        "compute numbers, got [[1], [2, 3]]",
    ),
    "mu": (lambda: jsplit.Costs([1, 2], mu=-0.1), "mu finite number >= 0, got -0.1"),
    "splitee, one exit": (
        lambda: jsplit.Costs.splitee(1),
        "num_exits integer >= 2, got 1",
    ),
    "isplitee, eight exits": (
        lambda: jsplit.Costs.isplitee(8),
        "num_exits integer from 2 to 7, got 8",
    ),
    "no entropy": (
        lambda: evaluate(["entropy_cascade"], BARE),
        "'entropy' trace with entropy none Trace.from_logits",
    ),
    "no predictions": (
        lambda: evaluate(["patience_cascade"], BARE),
        "'patience' trace with predictions none Trace.from_logits",
    ),
    "baseline": (
        lambda: jsplit.summarize(RESULT, "final_exti"),
        "baseline one of splitee, final_exit, got 'final_exti' mean 'final_exit'?",
    ),
    "level": (
        lambda: jsplit.summarize(RESULT, level=95),
        "level number from 0 to 1, got 95",
    ),
    "no result": (
        lambda: jsplit.summarize(None),
        "result a Result from evaluate, got NoneType",
    ),
    "switch": (
        lambda: Protocol(clock="seconds"),
        "protocol switch clock one of 'rounds', 'steps', got 'seconds'",
    ),
    "plan depth": (lambda: plans.split(3, 4, 0.5), "depth from 1 to 3, got 4"),
    "plan alpha": (lambda: plans.split(3, 1, "x"), "alpha from 0 to 1, got 'x'"),
    "plan threshold": (
        lambda: plans.cascade(3, float("nan")),
        "threshold finite number, got nan",
    ),
    "plan delay": (
        lambda: plans.cascade(3, 0.5, delay=-1),
        "delay from 0 to 3, got -1",
    ),
    "plan exits": (lambda: plans.exit_at("3", 1), "num_exits integer >= 2, got '3'"),
    "no plans": (lambda: plans.stack([]), "plans at least one got none"),
    "plans of two networks": (
        lambda: plans.stack([plans.exit_at(3, 1), plans.exit_at(4, 1)]),
        "plans same number of exits, got [3, 4]",
    ),
}


def assert_helps(message, words):
    assert "\n" not in message
    assert len(message) < 600  # the names of all policies are 450
    found = -1
    for word in words.split():
        found = message.find(word, found + 1)
        assert found >= 0, f"{word!r} is missing, or too early, in {message!r}"


@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=list(CALLS))
def test_bad_call_raises_one_line(call, words):
    with pytest.raises(JsplitError) as error:
        call()
    assert_helps(str(error.value), words)


@pytest.fixture(scope="module")
def result(folder):
    trace = jsplit.load_trace(folder / "good.csv")
    return evaluate(trace=trace, costs=jsplit.Costs.splitee(2))


def test_tables_and_figures_need_a_path(result):
    table = result.summarize()
    for write, path, words in (
        (jsplit.report.to_csv, None, "path such as got None"),
        (jsplit.report.to_csv, ".", "cannot write .:"),
        (jsplit.report.cost_accuracy, 5, "path such as got 5"),
    ):
        with pytest.raises(JsplitError) as error:
            write(table, path)
        assert_helps(str(error.value), words)


def test_save_into_a_missing_folder(result, tmp_path):
    with pytest.raises(JsplitError) as error:
        jsplit.save_result(result, tmp_path / "none" / "result.nc")
    assert_helps(str(error.value), "none/result.nc: No such file")
    with pytest.raises(
        JsplitError, match="result must be a Result from evaluate, got NoneType"
    ):
        jsplit.save_result(None, tmp_path / "result.nc")


def test_failed_save_leaves_the_old_file(result, tmp_path, monkeypatch):
    path = tmp_path / "result.nc"
    path.write_text("old")

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(JsplitError, match=r"result\.nc: No space left on device"):
        jsplit.save_result(result, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.nc"]


def text_file(path, result):
    path.write_text("policy,mean\n")


def truncated(path, result, keep=0.5):
    jsplit.save_result(result, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def stub(path, result):
    truncated(path, result, 0.02)


def empty(path, result):
    path.write_bytes(b"")


def foreign(path, result):
    xarray.Dataset({"x": ("y", [1.0, 2.0])}).to_netcdf(path, engine="scipy")


def summary(path, result):
    jsplit.summarize(result).save(path)


def newer(path, result):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "FORMAT_VERSION", 99)
        result.save(path)


def headless(path, result):
    files.write(result.data.drop_vars("cost"), "result", path)


BAD_RESULTS = {
    "text": (text_file, "not written by jsplit: it is no result file"),
    "truncated": (truncated, "damaged or truncated"),
    "truncated in the header": (stub, "damaged or truncated"),
    "empty": (empty, "not written by jsplit: it is no result file"),
    "another kind": (summary, "must hold a result, got a summary jsplit.Summary.load"),
    "newer": (newer, "reads result format 1, got 99 a newer jsplit"),
    "no numbers": (headless, "must hold data of evaluate, got a Dataset without cost"),
    "missing": (lambda path, result: None, "cannot read No such file"),
    "folder": (lambda path, result: path.mkdir(), "cannot read Is a directory"),
    "foreign": (foreign, "not written by jsplit"),
}


@pytest.mark.parametrize(
    ("write", "words"), BAD_RESULTS.values(), ids=list(BAD_RESULTS)
)
def test_load_refuses_what_is_no_result(result, tmp_path, write, words):
    path = tmp_path / "r.nc"
    write(path, result)
    with pytest.raises(JsplitError) as error:
        jsplit.load_result(path)
    message = str(error.value)
    assert "r.nc" in message
    assert_helps(message.replace(str(path), ""), words)


HEAD = "sample,exit,confidence,prediction,label\n"
GOOD = HEAD + "0,1,.5,1,1\n0,2,.6,1,1\n1,1,.7,0,2\n1,2,.8,2,2\n"
FILES = {
    "text.npz": b"these are no arrays\n",
    "truncated.npz": None,  # written by the fixture
    "good.csv": GOOD.encode(),
    "nan.csv": GOOD.replace(".6", "nan").encode(),
    "column.csv": GOOD.replace("confidence", "score").encode(),
    "range.csv": GOOD.replace(".6", "1.2").encode(),
    "one.csv": (HEAD + "0,1,.5,1,1\n1,1,.5,1,1\n").encode(),
    "empty.csv": b"",
    "t.parquet": b"PAR1",
    "in-the-way": b"",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("input")
    TRACE.save(folder / "truncated.npz")
    for name, content in FILES.items():
        content = (folder / name).read_bytes()[:500] if content is None else content
        (folder / name).write_bytes(content)
    return folder


COMMANDS = {
    "missing file": ("evaluate none.npz", "none.npz does not exist"),
    "truncated": ("evaluate truncated.npz", "truncated.npz truncated or damaged"),
    "text as npz": ("evaluate text.npz", "text.npz not an .npz file no zip archive"),
    "device": (f"evaluate {os.devnull}", "null is no regular file"),
    "nan": ("evaluate nan.csv", "nan.csv confidence finite nan"),
    "missing column": ("evaluate column.csv", "column.csv score confidences columns"),
    "confidence 1.2": ("evaluate range.csv", "range.csv confidence [0, 1] 1.2"),
    "one exit": ("evaluate one.csv", "one.csv confidence 2 exits (2, 1)"),
    "empty": ("evaluate empty.csv", "empty.csv column names empty file"),
    "unknown policy": ("evaluate good.csv spliteee", "policy one of mean 'splitee'?"),
    "bad label": ("evaluate good.csv splitee(alpha)", "policy number=value 'alpha'"),
    "policy twice": ("evaluate good.csv ucb1 ucb1", "policies different 'ucb1' twice"),
    "entropy missing": ("evaluate good.csv entropy_cascade", "'entropy' none"),
    "no replicas": (
        "evaluate good.csv --num-replicas 0",
        "num_replicas from 1 to got 0",
    ),
    "offload": ("evaluate good.csv --offload -1", "offload >= 0, got -1"),
    "seed": ("evaluate good.csv --seed -1", "seed from 0 to 4294967295, got -1"),
    "horizon": ("evaluate good.csv --horizon 0", "horizon from 1 got 0"),
    "out": ("evaluate good.csv --out in-the-way", "out in-the-way File exists"),
    "out below": (
        "evaluate good.csv --out in-the-way/x",
        "out in-the-way/x Not a directory",
    ),
    "baseline": ("evaluate good.csv --baseline nope", "baseline one of got 'nope'"),
    "alpha": ("evaluate good.csv ucb1 --alpha 2", "alpha from 0 to 1, got 2"),
    "isplitee": ("evaluate eight.npz --costs isplitee", "num_exits 2 to 7, got 8"),
    "quickstart replicas": ("quickstart --num-replicas 0", "num_replicas >= 1, got 0"),
    "quickstart epochs": ("quickstart --num-epochs 0", "num_epochs >= 1, got 0"),
    "quickstart seed": ("quickstart --seed -1", "seed from 0 got -1"),
    "quickstart offload": ("quickstart --offload nan", "offload >= 0, got nan"),
    "quickstart out": ("quickstart --out in-the-way", "out in-the-way File exists"),
    "bench repeats": ("bench engine --repeats 0", "repeats >= 1, got 0"),
    "bench exits": ("bench engine --num-exits 1", "num_exits >= 2, got 1"),
}


def assert_one_line(stderr, words):
    assert stderr.endswith("\n")
    (line,) = stderr.splitlines()
    assert line.startswith("jsplit: ")
    assert_helps(line, words)


@pytest.mark.parametrize(("command", "words"), COMMANDS.values(), ids=list(COMMANDS))
def test_bad_command_prints_one_line(folder, monkeypatch, capsys, command, words):
    monkeypatch.chdir(folder)
    if "eight" in command:
        random_trace(4, 8).save("eight.npz")
    assert cli.main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert_one_line(err, words)
    assert not (folder / "quickstart").exists()


def test_parquet_without_pyarrow_names_the_extra(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert cli.main(["evaluate", str(folder / "t.parquet")]) == 2
    assert_one_line(capsys.readouterr().err, 'pyarrow pip install "jsplit[parquet]"')


@pytest.mark.parametrize("broken", ["replace", "open", "plain"])
def test_full_disk_ends_in_one_line(folder, tmp_path, monkeypatch, capsys, broken):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if broken == "replace":
        monkeypatch.setattr(os, "replace", full)
    elif broken == "open":
        monkeypatch.setattr(xarray.Dataset, "to_netcdf", full)
    else:  # where no function of ours expects it
        monkeypatch.setattr(jsplit, "summarize", full)
    command = f"evaluate {folder / 'good.csv'} final_exit --num-replicas 2 --quiet"
    assert cli.main([*command.split(), "--out", str(tmp_path)]) == 2
    assert_one_line(capsys.readouterr().err, "No space left on device")
    # What is left is whole: the same command goes on from it.
    monkeypatch.undo()
    assert cli.main([*command.split(), "--out", str(tmp_path)]) == 0
    left = {path.name for path in tmp_path.iterdir()}
    assert {"evaluation.json", "result.nc.gz", "table.csv"} <= left
    assert not [name for name in left if name.startswith(".") or ".part" in name]


def test_interrupt_is_no_traceback(folder, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load_and_tell", interrupted)
    assert cli.main(["evaluate", str(folder / "good.csv")]) == 130
    assert_one_line(capsys.readouterr().err, "interrupted")


def test_devices_out_of_memory_are_one_line(monkeypatch, capsys):
    def exhausted(*arguments):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")

    monkeypatch.setattr(loading, "load_and_tell", exhausted)
    assert cli.main(["evaluate", "trace.npz"]) == 2
    assert_one_line(capsys.readouterr().err, "out of memory; try fewer replicas")
    monkeypatch.setattr(loading, "load_and_tell", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a fault of ours keeps its traceback
        cli.main(["evaluate", "trace.npz"])


PARSER = {
    "unknown command": (
        "evalute",
        "quickstart, policies, bench, 'evalute'; 'evaluate'?",
    ),
    "unknown option": ("bench engine --foo 1", "--foo jsplit bench engine --help"),
    "no number": ("bench engine --repeats x", "--repeats 'x'"),
    "no choice": ("evaluate good.csv --stream shufle", "--stream shuffle"),
    "nothing": ("", "quickstart, evaluate, policies, bench"),
    "no trace": ("evaluate", "evaluate PATH"),
}


@pytest.mark.parametrize(("command", "words"), PARSER.values(), ids=list(PARSER))
def test_parser_names_what_it_cannot_read(capsys, command, words):
    assert cli.main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert_one_line(err, words)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("evaluate none.npz", "none.npz does not exist"),
        ("evaluate text.npz --json", "text.npz not an .npz file"),
        (
            "evaluate good.csv final_exit --num-replicas 0",
            "num_replicas from 1 to got 0",
        ),
        ("nonsense", "command nonsense"),
    ],
)
def test_process_exits_with_2_and_no_traceback(folder, command, words):
    done = subprocess.run(
        [sys.executable, "-m", "jsplit", *command.split()],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert_one_line(done.stderr, words)
