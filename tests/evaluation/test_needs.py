"""A trace of predictions alone: who runs on it, who refuses and why, and what it says.

Rewards are then by the truth: 1 for a right answer minus mu times cost.
"""

import jax
import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import report
from jsplit.policies.registry import REGISTRY
from jsplit.traces.joining import in_order_of
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

WITH = random_trace(40, 4)
PREDICTIONS = jsplit.Trace.from_arrays(prediction=WITH.prediction, label=WITH.label)
COSTS = jsplit.Costs.splitee(4)
RUNNING = (
    "uee_ucb",
    "final_exit",
    "offload_all",
    "dynamic_split",
    "patience_cascade",
    "fixed_split(depth=4)",
)
WHY = {"hi_lcb": "observes", "hi_lcb_lite": "observes", "entropy_cascade": "entropy"}


@pytest.fixture(scope="module")
def result():
    return jsplit.evaluate(PREDICTIONS, RUNNING, COSTS, num_replicas=8)


def test_rewards_are_by_the_truth(result):
    gained = result["accuracy"] - COSTS.mu * result["cost"]
    np.testing.assert_allclose(result["reward"], gained, atol=1e-6)
    assert result["reward"].attrs["units"] == "accuracy"
    for by_confidence in RUNNING[1:]:  # the same decisions as with confidences
        other = jsplit.evaluate(WITH, [by_confidence], COSTS, num_replicas=8)
        for metric in ("accuracy", "cost", "offloaded"):
            np.testing.assert_array_equal(
                other[metric][0], result[metric].sel(policy=by_confidence)
            )


def test_summaries_captions_and_figures_say_what_a_reward_is(result, tmp_path):
    pytest.importorskip("matplotlib")
    table = jsplit.summarize(result, "final_exit")
    exact = jsplit.exact_values(PREDICTIONS, RUNNING[1:3], COSTS)
    for one in (table, exact):
        assert "no confidences" in report.to_markdown(one)
    assert np.isfinite(table["mean"].sel(metric="pseudo_regret")).all()
    report.cost_accuracy(table, tmp_path / "a.png")
    report.regret_curves(result, tmp_path / "b.png")
    assert "no confidences" not in report.to_markdown(
        jsplit.exact_values(WITH, ["final_exit"], COSTS)
    )


@pytest.mark.parametrize("name", [x for x in REGISTRY if x not in RUNNING])
def test_policy_that_needs_confidences_says_so_in_one_line(name):
    costs, trace = COSTS, PREDICTIONS
    if name == "route_ucb":
        one = jsplit.Condition(PREDICTIONS, COSTS, ((PREDICTIONS, COSTS),))
        costs, trace = None, jsplit.Scenario({"": one})
    with pytest.raises(JsplitError) as error:
        jsplit.evaluate(trace, [name], costs, num_replicas=2)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"policy {name}")
    assert WHY.get(name, "thresholds") in message
    assert "this one has none" in message


def test_rollout_expected_and_sweep_know_it_too(tmp_path):
    key = jax.random.key(0)
    done = jsplit.rollout("uee_ucb", PREDICTIONS, COSTS, key)
    np.testing.assert_allclose(done.reward, done.accuracy - done.cost, atol=1e-6)
    for function in (
        lambda: jsplit.rollout("splitee", PREDICTIONS, COSTS, key),
        lambda: jsplit.expected("fixed_split", PREDICTIONS, COSTS),
        lambda: jax.jit(
            lambda alpha: jsplit.rollout(
                jsplit.make_policy("random_exit", alpha=alpha), PREDICTIONS, COSTS, key
            )
        )(0.5),
    ):
        with pytest.raises(
            JsplitError, match=r"policy .* needs a trace with confidences"
        ):
            function()
    worth = jsplit.expected("final_exit", PREDICTIONS, COSTS)
    np.testing.assert_allclose(worth.reward, worth.true_reward, atol=1e-6)
    runs = jsplit.sweep(
        PREDICTIONS,
        ["uee_ucb", "final_exit"],
        jsplit.Costs.splitee,
        over={"mu": [0.5, 1.0]},
        num_replicas=8,
        out=tmp_path / "runs",
    )
    assert runs.summarize().to_dataframe()["mean"].notna().all()


def test_rules_are_not_fitted_on_what_is_not_there():
    for fit in (
        lambda: jsplit.best_split(PREDICTIONS, COSTS),
        lambda: jsplit.budget_cascade(PREDICTIONS, COSTS, budget=1.0),
        lambda: jsplit.risk_controlled_cascade(PREDICTIONS, risk=0.1),
        lambda: jsplit.risk_controlled_split(PREDICTIONS, COSTS, risk=0.1),
    ):
        with pytest.raises(JsplitError, match="held_out must have confidences"):
            fit()
    with pytest.raises(JsplitError, match="trace must have confidences"):
        jsplit.expected_calibration_error(PREDICTIONS)


def test_saved_joined_cut_and_mixed(tmp_path):
    named = jsplit.Trace.from_arrays(
        None, WITH.prediction, WITH.label, sample=np.arange(40)
    )
    named.save(tmp_path / "a.npz")
    loaded = jsplit.load_trace(tmp_path / "a.npz")
    assert loaded.sha256 == named.sha256
    assert loaded.confidence is None is loaded.remote_confidence
    assert loaded.lossless
    turned = jsplit.Trace.from_arrays(
        None, WITH.prediction[::-1], WITH.label[::-1], sample=np.arange(40)[::-1]
    )
    assert in_order_of(turned, named).sha256 == named.sha256
    assert {x.confidence for x in jsplit.split_trace(named, 0.5)} == {None}
    with pytest.raises(JsplitError, match="same confidences, or none"):
        jsplit.Scenario(
            {"a": (WITH, COSTS), "b": (PREDICTIONS, COSTS)}, jsplit.drift.abrupt(3)
        )


def test_cloud_may_answer_otherwise_without_confidences():
    remote = 1 - WITH.correct
    trace = jsplit.Trace.from_arrays(correct=WITH.correct, remote_correct=remote)
    assert not trace.lossless
    shipped = jsplit.expected("offload_all(depth=2)", trace, COSTS)
    np.testing.assert_allclose(shipped.accuracy, remote[:, 1].mean(), atol=1e-6)
    for given, words in (
        ({}, "needs correct, or prediction and label"),
        ({"correct": [[1, 0]], "remote_confidence": [[0.5, 0.5]]}, "go together"),
        ({"correct": [[1, 0], [1]]}, "correct must be an array of numbers"),
        ({"correct": [1, 0]}, "shape .N, L."),
        ({"prediction": [1, 0], "label": [1]}, "prediction must have shape .N, L."),
    ):
        with pytest.raises(JsplitError, match=words):
            jsplit.Trace.from_arrays(**given)
