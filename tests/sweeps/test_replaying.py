"""Which settings of a sweep run together."""

import pytest
from conftest import random_trace

import jsplit
from jsplit.engine.settings import Run
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import prepare
from jsplit.policies.registry import parse_policy
from jsplit.sweeps import replaying

N, L = 50, 3
RUN = Run(N, (N,), 8)


@pytest.mark.parametrize(
    ("policy", "num_plans"), [("splitee", L), ("adaee(num_thresholds=40)", 40)]
)
def test_as_many_settings_run_together_as_memory_holds(policy, num_plans, monkeypatch):
    trace = random_trace(N, L)
    scenarios = [
        Scenario.of(trace, jsplit.Costs.splitee(L, offload=x)) for x in range(5)
    ]
    settings = [prepare(parse_policy(policy), x, RUN.protocol) for x in scenarios]
    one = 2 * replaying.CELL_BYTES * N * num_plans + 60 * 8 * (1 + 4)
    monkeypatch.setattr(replaying, "MEMORY", 2.5 * one)
    assert replaying._groups(settings, RUN) == [[0, 1], [2, 3], [4]]
