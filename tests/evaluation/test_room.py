"""Replays that would not fit the memory are refused before they start."""

import pytest
from conftest import random_trace

import jsplit
from jsplit import memory
from jsplit.types import JsplitError

TRACE, COSTS = random_trace(40, 3), jsplit.Costs.splitee(3)


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 4 * 10**9)


CASES = {
    "replicas": (
        {"num_replicas": 10**8},
        "100,000,000 replicas x 2 policies x .. checkpoints would take",
    ),
    "steps": (
        {"num_replicas": 4096, "horizon": 500_000, "record_arms": True},
        "4,096 replicas x 2 policies x 6. checkpoints x 500,000 recorded steps",
    ),
    "checkpoints": (
        {"num_replicas": 4096, "horizon": 100_000, "num_checkpoints": 10**5},
        "4,096 replicas x 2 policies x .* checkpoints would take about .* GB",
    ),
}


@pytest.mark.parametrize(("options", "words"), CASES.values(), ids=list(CASES))
def test_what_does_not_fit_is_refused_with_the_numbers(options, words):
    with pytest.raises(JsplitError, match=words):
        jsplit.evaluate(TRACE, ["splitee", "final_exit"], COSTS, **options)


def test_replicas_of_a_sweep_are_refused_too():
    with pytest.raises(JsplitError, match="100,000,000 replicas x 1 policies x"):
        jsplit.sweep(TRACE, ["final_exit"], COSTS, num_replicas=10**8)


def test_what_fits_is_not_refused():
    jsplit.evaluate(TRACE, ["final_exit"], COSTS, num_replicas=4)


def test_the_system_is_asked(monkeypatch):
    monkeypatch.undo()
    there = memory.free()
    assert there is None or 10**7 < there < 10**14
