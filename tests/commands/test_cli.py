"""The command: its lists, its help, and the files and numbers it leaves."""

import csv
import inspect
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import cli
from jsplit.commands import evaluate
from jsplit.commands.contents import COMMANDS
from jsplit.policies.registry import BASIC_POLICIES
from jsplit.version import versions

pytestmark = pytest.mark.usefixtures("quick_compile")

FILES = [
    "cost-accuracy.png",
    "evaluation.json",
    "regret.png",
    "result.nc.gz",
    "table.csv",
    "table.md",
]


def run(capsys, *arguments):
    """Runs the command, which must succeed, and returns its standard output."""
    capsys.readouterr()
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert status == 0, err
    return out


def refused(capsys, *arguments):
    """Runs the command, which must fail in one line, and returns that line."""
    capsys.readouterr()
    assert cli.main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    return line


def strict_json(text):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_columns_are_named_and_what_was_understood_is_told(capsys, tmp_path):
    path = tmp_path / "branches.tsv"
    path.write_text("c 3\tc 6\tok 3\tok 6\n" + "0.5\t0.9\t0\t1\n" * 4)
    columns = ["--columns", "confidence=c {exit}", "correct=ok {exit}"]
    few = ["--num-replicas", 2, "--json"]
    line = refused(capsys, "evaluate", path, "splitee", *few)
    assert "expected the columns" in line
    assert "columns" in refused(capsys, "evaluate", path, "--columns", "label")
    status = cli.main([str(x) for x in ("evaluate", path, "splitee", *few, *columns)])
    _, err = capsys.readouterr()
    assert status == 0
    assert "branches.tsv: 4 samples, 2 exits (3, 6); confidence from c 3 c 6" in err
    assert err.count("accuracy by exit 0.000 1.000") == 1
    axes = strict_json(
        run(capsys, "sweep", path, *columns, "--over", "offload=0.1,0.2", *few)
    )["axes"]
    assert axes == {"offload": [0.1, 0.2]}


def test_fit_joins_traces_by_the_names_of_samples(capsys, tmp_path):
    trace = random_trace(60, 3, label_seed=0)
    rows = np.arange(60)
    for name, names, order in (
        ("one", rows, rows),
        ("back", rows, rows[::-1]),
        ("other", rows + 1, rows),
    ):
        jsplit.Trace.from_arrays(
            trace.confidence[order],
            correct=trace.correct[order],
            sample=names[order],
            dataset="toy",
        ).save(tmp_path / f"{name}.npz")
    (tmp_path / "again.npz").write_bytes((tmp_path / "one.npz").read_bytes())
    few = ["--fit", "best_split", "--num-replicas", 2, "--json", "--quiet"]

    def then(name):
        path = tmp_path / f"{name}.npz"
        return [
            "evaluate",
            tmp_path / "one.npz",
            "final_exit",
            "--then",
            f"{path}@20",
            *few,
        ]

    joined, same = (
        strict_json(run(capsys, *then(name)))["rows"] for name in ("back", "again")
    )
    assert joined == same
    assert "names of samples differ" in refused(capsys, *then("other"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trace and the same numbers as a table, which carries less."""
    folder = tmp_path_factory.mktemp("traces")
    trace = random_trace(60, 3, label_seed=0, dataset="made up")
    trace.save(folder / "trace.npz")
    with open(folder / "table.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "exit", "confidence", "prediction", "label"])
        for n in range(trace.num_samples):
            for i in range(trace.num_exits):
                confidence, predicted = trace.confidence[n, i], trace.prediction[n, i]
                writer.writerow([n, i + 1, confidence, predicted, trace.label[n]])
    return folder


def test_policies_lists_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    out = run(capsys, "policies")
    rows = strict_json(run(capsys, "policies", "--json"))
    assert [row["policy"] for row in rows] == jsplit.policy_names()
    for row in rows:
        assert row["policy"] in out
        assert row["summary"]
        assert all(isinstance(value, int | float) for value in row["numbers"].values())
    assert "alpha=0.7, beta=1" in out


OPTIONS = {
    "quickstart": "--out --num-replicas --num-epochs --offload --seed --quiet --json",
    "evaluate": "--fit best_split budget_cascade(budget=COST) --held-out --then "
    "risk_controlled_cascade(risk=DROP) --costs {splitee,isplitee} --offload --alpha "
    "--num-replicas --stream {shuffle,bootstrap,fixed} --horizon "
    "--protocol {paper,released} --baseline --out --seed --json "
    "Example: Trace.save logits labels",
    "policies": "--json",
    "train": "--out --model --set --data-dir --preset {None,isplitee,splitee} "
    "--num-epochs --batch-size --optimizer --learning-rate --head-learning-rate "
    "--weight-decay --schedule --exit-weights --label-smoothing --augment --bf16 "
    "--validation --patience --vocab --vocab-size --init-weights --fresh --seed "
    "--quiet Example:",
    "data": "list check prepare vocab",
    "bench": "engine policies models",
    "bench engine": "--num-samples --num-exits --num-replicas --repeats --seed --json",
    "bench policies": "--num-samples --num-exits --num-replicas --policies --repeats",
    "bench models": "--networks --batch-size --length --image-size --num-layers "
    "--repeats --seconds --seed --json",
    "record": "--out --split --distort NAME=LEVEL --quantise --calibrate --keep-logits "
    "--max-length --data-dir --batch-size --seed --quiet --json Example:",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_mentions_every_option(capsys, command):
    with pytest.raises(SystemExit) as end:
        cli.main([*command.split(), "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert f"jsplit {command}" in out
    for word in OPTIONS[command].split():
        assert word in out


@pytest.mark.parametrize(
    "arguments", [["policies"], ["policies", "--json"], ["train", "--help"]]
)
def test_a_reader_that_leaves_ends_the_command_silently(arguments):
    command = [sys.executable, "-m", "jsplit", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_help_mentions_every_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [line.split()[0] for line in lines if line.startswith("  ")]
    assert all(command.split()[0] in starts for command in OPTIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_list_of_commands_says_what_they_say_themselves(name):
    entry = COMMANDS[name]
    assert (inspect.getdoc(entry.load()) or "").splitlines()[0] == entry.about


def test_list_of_commands_is_there_before_anything_loads():
    script = (
        "import sys\n"
        "from jsplit.__main__ import main\n"
        "sys.argv[1:] = ['--help']\n"
        "assert main() == 0\n"
        "print([name for name in ('jax', 'numpy', 'tyro') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "evaluate" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_and_version_load_nothing_heavy():
    script = (
        "import sys\n"
        "from jsplit import cli\n"
        "for command in sys.argv[1:]:\n"
        "    try:\n        cli.main(command.split())\n"
        "    except SystemExit:\n        pass\n"
        "heavy = 'flax optax orbax tensorflow_datasets PIL tokenizers xarray'.split()\n"
        "print([name for name in [*heavy, 'matplotlib'] if name in sys.modules])\n"
    )
    commands = ["--version", *(f"{command} --help" for command in ["", *OPTIONS])]
    done = subprocess.run(
        [sys.executable, "-c", script, *commands], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: jsplit") == len(commands) - 1
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_one_line_with_what_computes(capsys):
    out = run(capsys, "--version")
    (line,) = out.splitlines()
    known = versions()
    assert line == (
        f"jsplit {known['jsplit']} (python {known['python']}, jax {known['jax']}, "
        f"numpy {known['numpy']})"
    )


def test_actions_of_groups_are_named(capsys):
    assert refused(capsys, "bench", "engin") == (
        "jsplit: bench command must be one of engine, policies, models, got 'engin'; "
        "did you mean 'engine'?"
    )
    assert "{list, check, prepare, vocab}" in refused(capsys, "data")
    assert refused(capsys, "data", "check").endswith("; see jsplit data check --help")


SMALL = ("splitee", "fixed_split(depth=2)", "--num-replicas", 128)


@pytest.mark.core
def test_evaluate_prints_the_table(capsys, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("table.csv", "trace.npz"):
        out = run(capsys, "evaluate", folder / name, *SMALL)
        for word in ("splitee", "fixed_split(depth=2)", "final_exit", "accuracy"):
            assert word in out
        assert "simulation error" in out


def test_table_and_trace_give_the_same_json_and_so_does_the_seed(capsys, folder):
    first, again, other = (
        strict_json(run(capsys, "evaluate", folder / name, *SMALL, "--json", *more))
        for name, more in (
            ("trace.npz", ()),
            ("trace.npz", ("--seed", 0)),
            ("trace.npz", ("--seed", 1)),
        )
    )
    table = strict_json(run(capsys, "evaluate", folder / "table.csv", *SMALL, "--json"))
    assert first["rows"] == again["rows"] == table["rows"]
    assert first["rows"] != other["rows"]
    stable = {key: first["attrs"][key] for key in first["attrs"] if key != "created"}
    assert stable == {key: again["attrs"][key] for key in stable}
    assert first["attrs"]["dataset"] == "made up"
    assert table["attrs"]["dataset"] == "table"
    baseline = [row for row in first["rows"] if row["policy"] == "final_exit"]
    assert all(row["p_value"] is None for row in baseline)
    accuracy = next(row["mean"] for row in baseline if row["metric"] == "accuracy")
    assert accuracy == pytest.approx(random_trace(60, 3, label_seed=0).accuracy[-1])


def test_evaluate_writes_its_files(capsys, folder, tmp_path):
    out = tmp_path / "new" / "folder"
    options = ("--out", out, "--baseline", "splitee", "--alpha", 0.6, "--json")
    shown = strict_json(run(capsys, "evaluate", folder / "trace.npz", *SMALL, *options))
    assert sorted(os.listdir(out)) == FILES
    result = jsplit.load_result(out / "result.nc.gz")
    labels = ["splitee(alpha=0.6)", "fixed_split(depth=2, alpha=0.6)"]
    assert result.policies == labels
    assert shown["attrs"]["baseline"] == labels[0]
    table = jsplit.summarize(result, labels[0])
    with open(out / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_array_equal(
        [float(row["mean"]) for row in rows], table["mean"].values.ravel()
    )
    assert [row["mean"] for row in shown["rows"]] == [float(r["mean"]) for r in rows]
    text = (out / "table.md").read_text(encoding="utf-8")
    assert "fixed\\_split(depth=2, alpha=0.6)" in text
    for name in ("cost-accuracy.png", "regret.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_then_lets_other_traces_take_over(capsys, folder, tmp_path, monkeypatch):
    """In the order of the data: 20 samples of one trace, 25 of the next, and so on."""
    traces = [jsplit.load_trace(folder / "trace.npz")]
    traces += [random_trace(60, 3, seed=seed) for seed in (1, 2)]
    for name, trace in zip(("b", "c"), traces[1:], strict=True):
        trace.save(tmp_path / f"{name}.npz")
    then = [f"{tmp_path / name}.npz@{step}" for name, step in (("b", 20), ("c", 45))]
    how = ("--num-replicas", 2, "--stream", "fixed", "--json")
    policies = ("final_exit", "offload_all")
    command = ("evaluate", folder / "trace.npz", *policies, "--then", *then)
    shown = strict_json(run(capsys, *command, *how))
    parts = (slice(0, 20), slice(20, 45), slice(45, 60))
    right = [t.correct[part, -1] for t, part in zip(traces, parts, strict=True)]
    means = {
        (row["policy"], row["metric"]): row["mean"]
        for row in shown["rows"]
        if row["policy"] == "final_exit"
    }
    found = means["final_exit", "accuracy"]
    assert found == pytest.approx(np.concatenate(right).mean())
    assert list(json.loads(shown["attrs"]["conditions"])) == ["trace", "b", "c"]
    by_condition = {
        (row["policy"], row["condition"]): (row["mean"], row["steps"])
        for row in shown["conditions"]
        if row["metric"] == "accuracy"
    }
    assert list(by_condition) == [
        (policy, name)
        for policy in ("final_exit", "offload_all")
        for name in ("trace", "b", "c")
    ]
    for name, values, steps in zip(
        ("trace", "b", "c"), right, (20, 25, 15), strict=True
    ):
        found = by_condition["final_exit", name]
        assert found == (pytest.approx(values.mean()), steps)
    assert shown["attrs"]["drift"] == "abrupt(20, 45)"
    monkeypatch.setenv("COLUMNS", "120")
    text = run(capsys, *command, *how[:-1])
    for part in ("condition", "Steps under each condition: trace 20, b 25, c 15"):
        assert part in text
    start = ("evaluate", folder / "trace.npz", "--then")
    assert refused(capsys, *start, tmp_path / "b.npz").startswith(
        "jsplit: then must be TRACE@STEP, such as b.npz@5000, got "
    )
    twice = refused(capsys, *start, then[0], then[0])
    assert twice == "jsplit: then must name traces of other names, got b twice"
    late = refused(capsys, *start, then[0], f"{tmp_path / 'c.npz'}@60")
    assert late == (
        "jsplit: then must name steps below 60, the steps of a run, got 60; see "
        "--horizon"
    )
    increase = "jsplit: then must name steps that increase from 1, got "
    assert refused(capsys, *start, *then[::-1]) == f"{increase}[45, 20]"
    assert refused(capsys, *start, f"{tmp_path / 'b.npz'}@0") == f"{increase}[0]"


def test_rules_are_fitted_on_a_part_and_all_is_judged_on_the_rest(
    capsys, folder, tmp_path
):
    whole = jsplit.load_trace(folder / "trace.npz")
    other = random_trace(60, 3, seed=1, label_seed=0)
    other.save(tmp_path / "b.npz")
    rules = (
        "best_split",
        "budget_cascade(budget=0.2)",
        "risk_controlled_cascade(risk=0)",
    )
    cut = ("--held-out", 0.3, "--seed", 5, "--offload", 0.2)
    how = ("--num-replicas", 2, "--baseline", "offload_all", "--json", *cut)
    command = ("evaluate", folder / "trace.npz", "final_exit", "--fit", *rules, *how)
    shown = strict_json(run(capsys, *command))
    held_out, judged = jsplit.split_trace(whole, 0.3, seed=5)
    costs = jsplit.Costs.splitee(3, offload=0.2)
    fitted = [
        jsplit.best_split(held_out, costs),
        jsplit.budget_cascade(held_out, costs, 0.2),
        jsplit.risk_controlled_cascade(held_out, 0),
    ]
    assert shown["attrs"]["trace_sha256"] == judged.sha256
    assert shown["attrs"]["num_samples"] == 42
    policies = ["final_exit", "offload_all", *fitted]
    exact = jsplit.exact_values(judged, policies, costs)["mean"]
    labels = [one if isinstance(one, str) else one.label for one in policies]
    assert list(dict.fromkeys(row["policy"] for row in shown["rows"])) == labels
    for row in shown["rows"]:
        if row["metric"] in ("accuracy", "cost", "reward"):
            place = {"policy": row["policy"], "metric": row["metric"]}
            assert row["mean"] == pytest.approx(exact.sel(place).item(), rel=1e-6)
    # With --then every trace is cut alike, and the first one's part is fitted on.
    then = ("--then", f"{tmp_path / 'b.npz'}@10", "--stream", "fixed")
    second = strict_json(run(capsys, *command, *then))
    told = json.loads(second["attrs"]["conditions"])
    parts = [jsplit.split_trace(one, 0.3, seed=5)[1].sha256 for one in (whole, other)]
    assert [one[0]["trace_sha256"] for one in told.values()] == parts
    assert list(dict.fromkeys(row["policy"] for row in second["rows"])) == labels
    random_trace(60, 3, seed=1).save(tmp_path / "b.npz")
    shown = refused(capsys, *command, *then)
    assert shown.startswith("jsplit: fit needs traces of the same samples")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fit", "bst_split"), "did you mean 'best_split'?"),
        (
            ("--fit", "budget_cascade"),
            "needs budget, such as budget_cascade(budget=0.3)",
        ),
        (
            ("--fit", "best_split(risk=1)"),
            "what rule best_split takes must be one of objective",
        ),
        (
            ("--fit", "budget_cascade(budget=0.001)"),
            "budget must be a finite number >=",
        ),
        (
            ("--fit", "best_split(objective=truth)"),
            "objective must be one of reward, tr",
        ),
        (
            ("--fit", "risk_controlled_split(risk)"),
            "expected number=value, every number",
        ),
        (
            ("--fit", "best_split", "--held-out", 2),
            "held-out must be a number from 0 to",
        ),
        (
            ("--fit", "best_split", "--held-out", 0),
            "held-out: share must leave a sample in both",
        ),
        (("--fit", "best_split", "--seed", -1), "jsplit: seed must be an integer from"),
        (("--held-out", "x"), "--held-out: could not convert string to float: 'x'"),
        (("--held-out", 0.2), "held-out belongs to --fit"),
    ],
)
def test_wrong_rules_are_named(capsys, folder, options, message):
    assert message in refused(capsys, "evaluate", folder / "trace.npz", *options)


def test_quiet_evaluation_says_nothing_on_the_way(capsys, folder):
    fit = ("--fit", "best_split", "--num-replicas", 2, "--json")
    command = ("evaluate", folder / "trace.npz", "final_exit", *fit)
    arguments = [str(one) for one in command]
    assert cli.main(arguments) == 0
    told = "fitted on 12 samples, judged on the other 48\n"
    assert capsys.readouterr().err.startswith(told)
    assert cli.main([*arguments, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_policies_by_default_are_those_the_table_allows(folder):
    names = evaluate._possible_policies(jsplit.load_trace(folder / "table.csv"))
    assert set(BASIC_POLICIES) - set(names) == {"entropy_cascade"}
    trace = jsplit.load_trace(folder / "trace.npz")
    assert evaluate._possible_policies(trace) == list(BASIC_POLICIES)


def test_alpha_that_was_written_wins():
    policies = evaluate._chosen_policies(
        ["splitee(alpha=0.9)", "ucb1"], 0.6, "final_exit"
    )
    labels = [policy.label for policy in policies]
    assert labels == ["splitee(alpha=0.9)", "ucb1(alpha=0.6)", "final_exit"]


def test_bench_compares_on_a_tiny_trace(capsys, monkeypatch):
    from jsplit.bench import rivals

    for name, value in (("LOOP_STEPS", 60), ("NUMPY_REPLICAS", 8), ("NUMPY_STEPS", 20)):
        monkeypatch.setattr(rivals, name, value)
    sizes = ("--num-samples", 64, "--num-exits", 3, "--num-replicas", 8)
    shown = strict_json(
        run(capsys, "bench", "engine", *sizes, "--repeats", 1, "--json")
    )
    routes = [(row["policy"], row["how"]) for row in shown["rows"]]
    assert len(routes) == len(set(routes)) == 8
    assert {policy for policy, _ in routes} == {"splitee", "splitee_s"}
    for row in shown["rows"]:
        assert row["nanoseconds"] > 0
        assert (row["ratio"] == 1) == (row["how"] == "jsplit")


def test_bench_of_policies_divides_by_steps_and_by_ucb1(capsys, monkeypatch):
    from jsplit.bench import policies

    seconds = iter([0.002, 0.001])

    def timed(run, repeats):
        assert repeats == 1
        run()
        return next(seconds)

    monkeypatch.setattr(policies, "median_seconds", timed)
    sizes = ("--num-samples", 50, "--num-exits", 3, "--num-replicas", 8)
    what = ("bench", "policies", "--policies", "splitee", "ucb1")
    shown = strict_json(run(capsys, *what, *sizes, "--repeats", 1, "--json"))
    assert [row["policy"] for row in shown["rows"]] == ["ucb1", "splitee"]
    np.testing.assert_allclose(
        [row["nanoseconds"] for row in shown["rows"]], [5000, 2500]
    )
    assert [row["ratio"] for row in shown["rows"]] == [1, 0.5]
    message = refused(capsys, "bench", "policies", "--policies", "final_exot")
    assert "did you mean 'final_exit'?" in message
    assert refused(capsys, "bench", "policies", "--networks", "bert") == (
        "jsplit: Unrecognized options: --networks bert; see jsplit bench "
        "policies --help"
    )


@pytest.mark.slow
def test_quickstart_writes_what_it_names(capsys, tmp_path):
    sizes = ("--num-epochs", 1, "--num-replicas", 16)
    shown = strict_json(run(capsys, "quickstart", "--out", tmp_path, *sizes, "--json"))
    assert sorted(os.listdir(tmp_path)) == sorted(shown["files"])
    assert all((tmp_path / name).stat().st_size for name in shown["files"])
    assert shown["accuracy"].keys() == {"pristine", "blurred", "noisy"}
    assert len(shown["tables"]) == 6
    for name in shown["files"]:
        if name.endswith(".nc.gz"):
            assert jsplit.load_result(tmp_path / name).attrs["num_replicas"] == 16
        if name.endswith(".npz"):
            assert jsplit.load_trace(tmp_path / name).num_exits == 6
