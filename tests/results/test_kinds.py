"""Kinds of results: what each is refused by, shows and gives away."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import report
from jsplit.types import JsplitError

COSTS = jsplit.Costs.splitee(3)
TRACE = random_trace(40, 3)


@pytest.fixture(scope="module")
def kinds():
    """One of each kind, by the name of its class."""
    names = {"one": (TRACE, COSTS), "other": (TRACE, COSTS)}
    scenario = jsplit.Scenario(names, jsplit.drift.abrupt(20))
    policies = ["ucb1", "final_exit"]
    result = jsplit.evaluate(
        scenario,
        policies,
        num_replicas=4,
        checkpoints=range(5, 41, 5),
        keep_curves=True,
    )
    return {
        "Result": result,
        "Summary": result.summarize(),
        "ConditionSummary": result.summarize_conditions(),
        "Recovery": result.recovery(20),
        "ExactValues": jsplit.exact_values(TRACE, ["final_exit"], COSTS),
    }


WANTS = {
    "summarize": (jsplit.summarize, {"Result"}),
    "summarize_conditions": (jsplit.summarize_conditions, {"Result"}),
    "recovery": (lambda result: jsplit.recovery(result, 20), {"Result"}),
    "save_result": (lambda result: jsplit.save_result(result, "x"), set()),
    "join": (lambda result: jsplit.Result.join([result]), {"Result"}),
    "render": (
        report.render,
        {"Summary", "ConditionSummary", "Recovery", "ExactValues"},
    ),
    "to_markdown": (
        report.to_markdown,
        {"Summary", "ConditionSummary", "Recovery", "ExactValues"},
    ),
    "cost_accuracy": (report.cost_accuracy, {"Summary", "ExactValues"}),
    "regret_curves": (report.regret_curves, {"Result"}),
}


@pytest.mark.parametrize("name", WANTS)
def test_the_wrong_kind_is_one_line_that_names_both(kinds, name):
    call, fitting = WANTS[name]
    others = [None, 5, "result.nc.gz", np.zeros(3), kinds["Result"].data]
    for kind, value in [*kinds.items(), *((None, one) for one in others)]:
        if kind in fitting:
            call(value)
        elif name == "save_result" and kind == "Result":
            continue  # which would write
        else:
            with pytest.raises(JsplitError, match=r" must be an? [A-Z]") as error:
                call(value)
            assert "\n" not in str(error.value)
            assert (kind or type(value).__name__) in str(error.value)


@pytest.mark.parametrize(
    "kind", ["Result", "Summary", "ConditionSummary", "Recovery", "ExactValues"]
)
def test_every_kind_shows_itself_and_comes_back_from_a_file(kinds, kind, tmp_path):
    value = kinds[kind]
    assert repr(value).startswith(f"{kind}(")
    assert "\n" not in repr(value)
    assert ('class="dataframe"' in value._repr_html_()) == (kind != "Result")
    frame = value.to_dataframe()
    assert len(frame)
    assert frame.index.names[0] == "policy"
    path = tmp_path / "a.nc.gz"
    value.save(path)
    again = type(value).load(path)
    assert again.data.equals(value.data)
    assert again.attrs == value.attrs
    other = jsplit.Summary if kind != "Summary" else jsplit.Result
    with pytest.raises(JsplitError, match=rf"got a .*: load it with jsplit\.{kind}"):
        other.load(path)


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        (jsplit.Summary, "Result"),
        (jsplit.Summary, "ExactValues"),
        (jsplit.Result, "Summary"),
        (jsplit.ConditionSummary, "Summary"),
        (jsplit.Recovery, "Result"),
    ],
)
def test_data_of_another_kind_are_refused(kinds, kind, of):
    with pytest.raises(
        JsplitError, match=rf"{kind.__name__} must hold data of .* got a"
    ):
        kind(kinds[of].data)
    with pytest.raises(JsplitError, match=r"must hold an xarray\.Dataset"):
        kind(None)


@pytest.mark.parametrize("path", [None, 5, "", "a\0b"])
def test_what_is_no_path_is_refused(kinds, path):
    for call in (kinds["Result"].save, jsplit.load_result, jsplit.Summary.load):
        with pytest.raises(JsplitError, match="path must be a path such as"):
            call(path)


def test_a_result_gives_its_metrics_by_name(kinds):
    result = kinds["Result"]
    accuracy = result.metric("accuracy")
    np.testing.assert_array_equal(accuracy, result["accuracy"].values)
    frame = result.to_dataframe()
    np.testing.assert_array_equal(frame["accuracy"], accuracy.ravel())
    assert frame.index.names == ["policy", "replica"]
    with pytest.raises(JsplitError, match="did you mean 'accuracy'"):
        result.metric("acuracy")


def test_the_baseline_is_final_exit_or_else_the_first_policy(kinds):
    assert kinds["Summary"].baseline == "final_exit"
    result = jsplit.evaluate(TRACE, ["ucb1"], COSTS, num_replicas=4)
    assert result.summarize().baseline == "ucb1"


def test_moments_are_kept_unless_curves_are_asked_for(kinds):
    result = kinds["Result"]
    kept = result.without_curves()
    assert kept.without_curves() is kept
    assert not [name for name in kept.data if str(name).endswith("_curve")]
    np.testing.assert_allclose(
        kept["pseudo_regret_mean"], result["pseudo_regret_curve"].mean("replica")
    )
    np.testing.assert_allclose(
        kept["best_played_mean"], result["best_played_curve"].mean("replica")
    )
    with pytest.raises(JsplitError, match="evaluate with keep_curves=True"):
        kept.recovery(20)
    same = jsplit.Result.join([kept])
    assert same.data.equals(kept.data)


def test_tables_of_exact_values_and_of_recovery(kinds, tmp_path):
    text = report.to_markdown(kinds["ExactValues"])
    assert f"| final\\_exit | {100 * TRACE.accuracy[-1]:.0f}" in text
    assert "95 % intervals" in text
    assert "(exact): the same whatever the samples." in text
    text = report.to_markdown(kinds["Recovery"])
    lines = text.splitlines()
    assert lines[0].startswith("| policy | recovered % |")
    assert "| never |" in text or " steps" in text
    for kind in ("ExactValues", "Recovery"):
        path = tmp_path / f"{kind}.csv"
        report.to_csv(kinds[kind], path)
        rows = path.read_text().splitlines()
        assert rows[0].startswith("policy,")
        assert len(rows) == 1 + len(kinds[kind].to_dataframe())
