"""Settings side by side, and runs in pieces: the same bits as alone and at once."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from conftest import compilations, random_trace

import jsplit
from jsplit.engine import layout, pace, shard
from jsplit.engine.midway import MidwayFile
from jsplit.engine.schedule import make_schedule
from jsplit.engine.settings import Keep, Run
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import bind, prepare

N, L, T, S = 40, 4, 70, 3
RUN = Run(T, (5, T), 8, keep=Keep(steps=True, visits=True))
DRIFT = jsplit.drift.markov([[0.8, 0.2], [0.3, 0.7]])


def settings(policy, *, run=RUN, drifts=False):
    """Arguments of `run_replicas` for S costs of shipping."""
    trace = random_trace(N, L, seed=2)

    def scenario(offload):
        one, other = [
            (trace, jsplit.Costs.splitee(L, offload=x)) for x in (offload, 2 * offload)
        ]
        if drifts:
            return jsplit.Scenario({"good": one, "bad": other}, DRIFT)
        if policy == "route_ucb":
            two_routes = jsplit.Condition(*one, routes=(other,))
            return jsplit.Scenario({"both": two_routes})
        return Scenario.of(*one)

    scenarios = [scenario(offload) for offload in np.linspace(0.1, 0.9, S)]
    made = jsplit.make_policy(policy)
    bound = bind([prepare(made, one, run.protocol) for one in scenarios])
    chain = scenarios[0].chain(run.horizon)
    schedule = make_schedule(run, N, *(chain or (None, None)))
    return bound.selector, bound.params, bound.tables, schedule, run


def at(setting, selector, params, tables, *rest):
    """The arguments for one of the settings."""
    chosen = slice(setting, setting + 1)
    params, tables = jax.tree.map(lambda leaf: leaf[chosen], (params, tables))
    return selector, params, tables, *rest


def assert_same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def assert_each_as_alone(arguments):
    together = shard.run_replicas(*arguments)
    for setting in range(S):
        alone = shard.run_replicas(*at(setting, *arguments))
        here = jax.tree.map(lambda leaf, n=setting: leaf[n : n + 1], together)
        assert_same(here, alone)


@pytest.mark.parametrize(
    "policy",
    [
        name
        if name in ("splitee", "splitee_s", "sliding_window_ucb")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in jsplit.policy_names()
    ],
)
def test_every_setting_has_the_bits_that_it_has_alone(policy):
    assert_each_as_alone(settings(policy))


def test_free_plays_and_conditions_are_those_of_a_setting_alone():
    run = dataclasses.replace(
        RUN, stream="bootstrap", protocol=jsplit.Protocol.named("released")
    )
    assert_each_as_alone(settings("splitee", run=run, drifts=True))


@pytest.fixture
def in_small_pieces(monkeypatch):
    monkeypatch.setattr(pace, "FIRST_SECONDS", 0)
    monkeypatch.setattr(pace, "SECONDS", 0)


def test_pieces_change_no_bit_and_compile_nothing(monkeypatch):
    arguments = settings("splitee")
    whole, told = shard.run_replicas(*arguments), []
    monkeypatch.setattr(pace, "FIRST_SECONDS", 0)
    monkeypatch.setattr(pace, "SECONDS", 0)
    with compilations() as found:
        pieces = shard.run_replicas(*arguments, advance=told.append)
    assert found == []
    assert_same(pieces, whole)
    assert len(told) > 2
    assert sum(told) == S * RUN.num_replicas


@pytest.mark.usefixtures("in_small_pieces")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_stopped_run_goes_on_with_the_same_bits(stop, tmp_path):
    arguments, midway = settings("splitee"), MidwayFile(tmp_path / "state")
    told, again = [], []

    def interrupt(replicas):
        told.append(replicas)
        if len(told) == 3:
            raise stop

    with pytest.raises(stop):
        shard.run_replicas(*arguments, advance=interrupt, midway=midway)
    resumed = shard.run_replicas(*arguments, advance=again.append, midway=midway)
    whole = shard.run_replicas(*arguments, advance=told.append)
    assert_same(resumed, whole)
    assert 1 < len(again) < len(told) - 3
    assert sum(again) == S * RUN.num_replicas  # what was done before is told first


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:99] + b"x" + b[100:]]
)
def test_a_damaged_state_is_not_used(damage, tmp_path):
    arguments, path = settings("splitee"), tmp_path / "state"

    def interrupt(replicas):
        del replicas
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard.run_replicas(*arguments, advance=interrupt, midway=MidwayFile(path))
    assert MidwayFile(path).load() is not None
    path.write_bytes(damage(path.read_bytes()))
    assert MidwayFile(path).load() is None


def test_settings_that_int32_cannot_number_are_one_line():
    selector, params, tables, schedule, run = settings("splitee")
    number = 2**26
    many = jax.tree.map(
        lambda leaf: np.broadcast_to(leaf[:1], (number, *leaf.shape[1:])), tables
    )
    each = number // math.gcd(number, jax.device_count())
    message = f"must be at most 2147483647, got {each} x 1 x {N} x {L}"
    with pytest.raises(jsplit.JsplitError, match=message):
        shard.run_replicas(selector, params, many, schedule, run)


def test_settings_fill_the_memory_and_are_padded_to_few_sizes():
    assert layout.settings_that_fit(1, 1000, RUN) == 1
    one = 2 * 1000 + 60 * 8 * (2 + 4)
    assert layout.settings_that_fit(7.5 * one, 1000, RUN) == 7
    sizes = {layout.padded(number) for number in range(1, 129)}
    assert len(sizes) <= 16 + 8 * 3
    assert all(n <= layout.padded(n) <= max(n, n * 9 / 8) for n in range(1, 999))


@pytest.mark.parametrize("num_settings", [1, 2, 7, 50, 53, 100])
@pytest.mark.parametrize("num_replicas", [1, 256, 5000])
def test_a_layout_holds_all_settings_and_little_more(num_settings, num_replicas):
    run = dataclasses.replace(RUN, num_replicas=num_replicas)
    found = layout.make_layout(num_settings, run)
    assert found.num_settings == num_settings
    slots = found.group * found.groups
    assert found.settings <= slots <= 1.1 * found.settings
    assert found.blocks >= 1
    assert found.group * found.lanes <= 1.5 * layout.CPU_LANES
