"""Running until intervals are short enough, and joining runs."""

from functools import partial

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import stats
from jsplit.engine import layout
from jsplit.evaluation import until as stopping
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

TRACE = random_trace(40, 3)
COSTS = jsplit.Costs.splitee(3)
OPTIONS = {"block_size": 16, "seed": 3, "num_checkpoints": 4}


def evaluate(num_replicas, first_replica=0, **options):
    return jsplit.evaluate(
        TRACE,
        ["splitee", "final_exit"],
        COSTS,
        num_replicas=num_replicas,
        first_replica=first_replica,
        **{**OPTIONS, **options},
    )


def until(half_width, **options):
    return jsplit.evaluate_until(
        TRACE,
        ["splitee", "final_exit"],
        COSTS,
        half_width=half_width,
        **{"chunk": 128, "max_replicas": 1024, **OPTIONS, **options},
    )


@pytest.fixture(scope="module")
def long_run():
    return evaluate(1024, keep_curves=True)


@pytest.fixture
def replayed(long_run, monkeypatch):
    """Serves replicas out of one long run, so that nothing compiles again."""

    def serve(bound, scenario, run, charges):
        del scenario, charges
        first, num = run.first_replica, run.num_replicas
        labels = [one.policies[0].label for one in bound]
        part = long_run.data.sel(policy=labels).isel(replica=slice(first, first + num))
        return jsplit.Result(part.assign_attrs(num_replicas=num, first_replica=first))

    monkeypatch.setattr(stopping, "replay_all", serve)
    return long_run


@pytest.fixture(scope="module")
def resampled():
    """Sixteen replicas at once, and the same in two runs of the same program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "ITEMS", 1)
        options = {"stream": "bootstrap", "record_arms": True, "block_size": 4}
        parts = [evaluate(8, first, **options) for first in (0, 8)]
        return evaluate(16, **options), parts


def test_joined_parts_are_the_run_at_once(resampled):
    whole, parts = resampled
    joined = jsplit.Result.join(parts)
    for name, variable in whole.data.items():
        # Moments of curves are merged, the rest are every replica's own numbers.
        same = np.testing.assert_array_equal
        if "replica" not in variable.dims:
            same = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
        same(joined[name], variable, err_msg=name)
    assert joined.attrs["num_replicas"] == 16
    assert joined.summarize().data.equals(whole.summarize().data)


def test_four_replicas_share_a_resampled_test_set_in_other_orders(resampled):
    order = resampled[0]["order"].values
    sets = np.sort(order, axis=1).reshape(4, 4, -1)
    assert (sets == sets[:, :1]).all()
    assert len(np.unique(sets[:, 0], axis=0)) == 4
    assert len(np.unique(order, axis=0)) == 16


@pytest.mark.core
def test_parts_that_do_not_continue_are_refused(long_run):
    part = long_run.data.isel(replica=slice(16))

    def join(*parts):
        return jsplit.Result.join([jsplit.Result(one) for one in parts])

    with pytest.raises(JsplitError, match=r"continue at replica 16, got .* at 32"):
        join(part, part.assign_attrs(first_replica=32))
    with pytest.raises(JsplitError, match="agree in seed"):
        join(part, part.assign_attrs(first_replica=16, seed=4))
    next_one = part.assign_attrs(first_replica=16)
    with pytest.raises(JsplitError, match="agree in policy"):
        join(part, next_one.isel(policy=[1, 0]))
    with pytest.raises(JsplitError, match="agree in checkpoint"):
        join(part, next_one.isel(checkpoint=slice(1, None)))
    with pytest.raises(JsplitError, match="parts must hold"):
        join()
    with pytest.raises(JsplitError, match="parts must be a Result from evaluate"):
        jsplit.Result.join([part])


def test_stops_at_the_first_look_that_is_short_enough(replayed):
    reward = replayed["reward"].values
    wanted = stats.half_width(reward[:, :640]).max() * 1.000001
    result = until({"reward": wanted}, keep_curves=True)
    num = result.num_replicas
    assert num in (384, 512, 640)
    assert result.attrs["stopped"] == "half-widths reached, method t"
    assert result.data.equals(replayed.data.isel(replica=slice(num)))
    assert stats.half_width(reward[:, :num]).max() <= wanted
    assert stats.half_width(reward[:, : num - 128]).max() > wanted


@pytest.mark.usefixtures("replayed")
def test_anytime_runs_longer_and_max_replicas_ends_all():
    spread = until({"reward": 1e-9})["reward"].std("replica").max().item()
    wanted = {"reward": 0.1 * spread}
    longer = until(wanted, method="anytime").num_replicas
    assert longer > until(wanted).num_replicas
    result = until({"reward": 1e-9}, max_replicas=300)
    assert result.num_replicas == 300
    assert result.attrs["stopped"] == "max_replicas reached"


def test_metrics_of_bills_may_say_when_to_stop():
    """Here those of energy and the share of steps above a deadline."""
    energy = jsplit.Costs([1, 2, 4], 0.5, [3, 3, 1], unit="mJ")
    bills = {"bills": {"energy": energy}, "deadlines": {"cost": 0.4}}
    wanted = {"energy_p95": 0.1, "cost_late": 0.003, "energy": 0.0095}
    how = {"chunk": 128, "max_replicas": 1024, "block_size": 16}
    policies = ["ucb1"]
    found = jsplit.evaluate_until(
        TRACE, policies, COSTS, half_width=wanted, **bills, **how
    )
    size = found.num_replicas
    assert 256 < size < 1024
    whole = jsplit.evaluate(
        TRACE, policies, COSTS, num_replicas=size, block_size=16, **bills
    )
    for name, variable in whole.data.items():
        np.testing.assert_array_equal(found[name], variable, err_msg=name)
    for num, reached in ((size, True), (size - 128, False)):
        widths = {
            name: stats.half_width(whole.metric(name)[:, :num]).max() for name in wanted
        }
        assert all(widths[name] <= wanted[name] for name in wanted) == reached


@pytest.mark.usefixtures("replayed")
def test_difference_of_a_policy_to_itself_is_known_at_the_first_look():
    result = jsplit.evaluate_until(
        TRACE, ["splitee"], COSTS, half_width={"cost": 1e-12}, baseline="splitee"
    )
    assert result.num_replicas == stats.MIN_REPLICAS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_width": {}}, "half_width must be a dict"),
        ({"half_width": 0.1}, "half_width must be a dict"),
        ({"half_width": {"acuracy": 1}}, "did you mean 'accuracy'"),
        ({"half_width": {"cost": 0}}, "half_width of cost must be > 0, got 0"),
        ({"stream": "bootstrap"}, "stream must be shuffle or fixed"),
        ({"method": "z"}, "method must be one of t, anytime"),
        ({"level": 2}, "level must lie"),
        ({"baseline": "spltee"}, "did you mean 'splitee'"),
        ({"half_width": {"energy": 1}}, "half_width must be one of accuracy, "),
        ({"bills": {}, "half_width": {"cost_p90": 1}}, "did you mean 'cost_p9"),
        ({"bills": {"a": 3}}, "bill 'a' must hold one Costs"),
    ],
)
def test_wrong_arguments_are_named_before_anything_runs(options, message, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("evaluate was called")

    monkeypatch.setattr(stopping, "replay_all", never)
    with pytest.raises(JsplitError, match=message):
        until(**{"half_width": {"cost": 0.1}, **options})


def test_first_replica_is_checked():
    with pytest.raises(JsplitError, match="first_replica must be an integer"):
        evaluate(4, -4)
    with pytest.raises(JsplitError, match="multiple of 4 for bootstrap"):
        evaluate(4, 2, stream="bootstrap")
