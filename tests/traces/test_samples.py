"""Names of samples: kept, all different, and what rows of two traces are joined by."""

import copy
import dataclasses
import os
import pathlib
import pickle

import jax
import numpy as np
import pytest

import jsplit
from jsplit.environment.scenario import Condition, Scenario
from jsplit.fitting import split_trace
from jsplit.traces.joining import difference, in_order_of
from jsplit.traces.loading import load_trace
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = pathlib.Path(
    os.environ.get("JSPLIT_TEST_CASES", ROOT.parent / "shared" / "cases")
)
N = 6
NAMES = [f"img_{n}" for n in range(N)]


def trace_of(names=NAMES, rows=range(N), label=True):
    rng = np.random.default_rng(0)
    confidence, label_ = rng.random((N, 2)), rng.integers(2, size=N)
    correct = rng.random((N, 2)) < 0.5
    rows = list(rows)
    return Trace.from_arrays(
        confidence[rows],
        label=label_[rows] if label else None,
        correct=correct[rows],
        sample=None if names is None else [names[row] for row in rows],
    )


BACK = range(N)[::-1]


@pytest.mark.parametrize("names", [NAMES, range(10, 10 + N)])
def test_names_are_kept(tmp_path, names):
    trace = trace_of(names)
    trace.save(tmp_path / "a.npz")
    assert not trace.sample.flags.writeable
    held_out, judged = split_trace(trace, 0.5)
    for same in (
        load_trace(tmp_path / "a.npz"),
        copy.deepcopy(trace),
        pickle.loads(pickle.dumps(trace)),
        dataclasses.replace(trace, meta={}),
    ):
        assert same.sample.tolist() == list(names)
    assert sorted([*held_out.sample, *judged.sample]) == list(names)
    for part in (held_out, judged):
        for row, name in enumerate(part.sample.tolist()):
            place = list(names).index(name)
            np.testing.assert_array_equal(part.confidence[row], trace.confidence[place])
    assert trace.sha256 != trace_of(list(names)[::-1]).sha256
    assert trace.sha256 != trace_of(None).sha256


def test_transformations_of_jax_do_not_see_names():
    moved = jax.tree.map(lambda x: x + 0, trace_of())
    assert moved.sample is None
    assert len(jax.tree.leaves(trace_of())) == len(jax.tree.leaves(trace_of(None)))


def test_repeated_and_odd_names_are_refused():
    for names, words in (
        ([5, 6, 7, 5, 8, 7], "once got 5 at sample[0] and sample[3] (2 of 6"),
        (["a", "b", "b", "c", "d", "e"], "'b' at sample[1] and sample[2] (1 of 6"),
        ([0.5] * N, "6 integers or texts float64"),
        ([None] * N, "object"),
        ([1, "a"], "(2,)"),
    ):
        with pytest.raises(JsplitError) as error:
            Trace.from_arrays([[0.5, 0.6]] * N, correct=[[0, 1]] * N, sample=names)
        message = str(error.value)
        assert message.startswith("sample must")
        assert all(word in message for word in words.split()), message


def test_traces_are_joined_by_names():
    one, other = trace_of(), trace_of(rows=BACK)
    assert difference(one, other) == "other samples, or another order,"
    joined = in_order_of(other, one)
    assert joined.sha256 == one.sha256
    shuffled = [3, 1, 5, 0, 2, 4]
    again = in_order_of(trace_of(rows=shuffled), other)
    assert again.sha256 == other.sha256
    assert in_order_of(one, one) is one
    for odd in (trace_of(range(N)), trace_of(None)):
        assert in_order_of(odd, one) is odd
    assert difference(trace_of(None), trace_of(None, BACK)) == "other labels"
    bare = trace_of(None, label=False)
    assert difference(bare, trace_of(None, label=False)) == ""
    assert difference(bare, one) == "no names of samples to join by"
    assert difference(trace_of(None), one) == ""


def test_routes_and_conditions_are_joined_by_names():
    costs = jsplit.Costs.splitee(2)
    one, other = trace_of(label=False), trace_of(rows=BACK, label=False)
    routes = Scenario({"a": Condition(one, costs, ((other, costs),))})
    assert routes.first.routes[0].trace.sha256 == one.sha256
    drift = jsplit.drift.periodic(2)
    both = Scenario({"a": (one, costs), "b": (other, costs)}, drift)
    assert both.conditions["b"].trace.sha256 == one.sha256
    elsewhere = trace_of(range(N), label=False)
    both = Scenario({"a": (one, costs), "b": (elsewhere, costs)}, drift)
    assert both.conditions["b"].trace.sha256 == elsewhere.sha256
    for odd in (elsewhere, trace_of(None, label=False)):
        with pytest.raises(JsplitError, match=r"'a': all routes .* in route 1"):
            Scenario({"a": Condition(one, costs, ((odd, costs),))})


def test_calibration_on_the_same_samples_in_another_order_is_refused():
    rng = np.random.default_rng(1)
    logits, label = rng.normal(size=(N, 2, 3)), rng.integers(3, size=N)
    one, other = (
        Trace.from_logits(
            logits[rows], label[rows], keep_logits=True, sample=np.array(NAMES)[rows]
        )
        for rows in (np.arange(N), np.arange(N)[::-1])
    )
    with pytest.raises(JsplitError, match="other samples than trace"):
        jsplit.calibrate(one, other)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
def test_cases_of_samples():
    one, other = (load_trace(CASES / f"order_{x}.csv") for x in "ab")
    costs = jsplit.Costs.splitee(3)
    joined = Scenario({"": Condition(one, costs, ((other, costs),))}).first.routes[0]
    np.testing.assert_array_equal(joined.trace.confidence, one.confidence)
    with pytest.raises(JsplitError, match=r"0 at sample\[0\] and sample\[12\] \(3 of"):
        load_trace(CASES / "sampler_padding_wide.csv")
