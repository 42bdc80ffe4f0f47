"""Profiles against their formula by hand, link states, bills in a summary."""

import dataclasses

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import Link, Machine, Profile, link_states
from jsplit.environment.profiles import cellular
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

PHONE = Machine(gflops=2, watts=3, price=0.5)
LINK = Link(mbps=4, rtt_ms=10, watts=1.5, price=0.2)
SERVER = Machine(gflops=100, price=2)
LAYERS, HEADS, SIZES = [4e9, 2e9, 6e9], [1e6, 2e6, 3e6], [1000, 500, 200]
PROFILE = Profile(LAYERS, HEADS, SIZES, PHONE, LINK, SERVER, input_bytes=3000)


def test_milliseconds_by_hand():
    costs = PROFILE.costs("ms", mu=0.1)
    assert (costs.mu, costs.unit) == (0.1, "ms")
    np.testing.assert_allclose(costs.compute, [2000, 3000, 6000])
    np.testing.assert_allclose(costs.head, [0.5, 1.0, 1.5])
    # Round trip + 8 bits a byte over 4 kbit a ms + the rest and the last head.
    rest = np.array([8.003e9, 6.003e9, 0.003e9]) / 1e8
    np.testing.assert_allclose(costs.offload, 10 + np.array([2, 1, 0.4]) + rest)
    np.testing.assert_allclose(costs.input, 10 + 6 + 12.003e9 / 1e8)


def test_millijoules_bytes_and_money_by_hand():
    energy = PROFILE.costs("mJ")
    np.testing.assert_allclose(energy.compute, [6000, 9000, 18000])
    np.testing.assert_allclose(energy.head, [1.5, 3.0, 4.5])
    np.testing.assert_allclose(energy.offload, 1.5 * np.array([2, 1, 0.4]))
    shipped = PROFILE.costs("bytes")
    np.testing.assert_allclose(shipped.compute, 0)
    np.testing.assert_allclose([*shipped.offload, shipped.input], [*SIZES, 3000])
    money = PROFILE.costs("money")
    np.testing.assert_allclose(money.compute, [1.0, 1.5, 3.0])
    server = 2 * np.array([8.003e9, 6.003e9, 0.003e9]) / 1e11
    np.testing.assert_allclose(money.offload, 0.2e-9 * np.array(SIZES) + server)


def test_input_defaults_to_the_bytes_of_the_first_split():
    profile = Profile(LAYERS, HEADS, SIZES, PHONE, LINK, SERVER)
    assert profile.costs("bytes").input == 1000
    slower = profile.at(Link(mbps=2, rtt_ms=10))
    np.testing.assert_allclose(
        slower.costs("ms").offload - profile.costs("ms").offload, [2, 1, 0.4]
    )


def test_profile_of_a_recorded_trace():
    trace = jsplit.sample_trace("digits")
    whole = Profile.of(trace, PHONE, LINK, SERVER)
    np.testing.assert_allclose(
        whole.costs("ms").compute, np.cumsum(trace.meta["layer_flops"]) / 2e6
    )
    coarse = Profile.of(trace, PHONE, LINK, SERVER, bits=4)
    assert (coarse.costs("bytes").offload < whole.costs("bytes").offload / 7).all()
    # What was recorded with 4 bits is billed for 4 bits.
    recorded = dataclasses.replace(trace, meta={**trace.meta, "quantise_bits": 4})
    again = Profile.of(recorded, PHONE, LINK, SERVER)
    np.testing.assert_array_equal(again.split_bytes, coarse.split_bytes)


def test_average_links():
    assert [cellular(name).mbps for name in ("3g", "4g", "wifi")] == [1.1, 5.85, 18.88]
    np.testing.assert_allclose(cellular("3g").watts, 0.86898 * 1.1 + 0.81788)


def test_link_states_keep_the_mean_sending_time():
    rates = np.random.default_rng(0).lognormal(2, 1, 500)
    links, drift = link_states(rates, num_states=5, rtt_ms=7)
    assert len(links) == drift.num_conditions == 5
    assert {link.rtt_ms for link in links.values()} == {7}
    mbps = np.array([link.mbps for link in links.values()])
    assert (np.diff(mbps) > 0).all()
    chain = drift.chain(1000, 5)
    state = chain.transition[chain.phase, 0].argmax(1)
    np.testing.assert_array_equal(state[:500], state[500:])
    assert np.bincount(state[:500]).tolist() == [100] * 5
    assert ((rates[:, None] > rates) <= (state[:500, None] >= state[:500])).all()
    np.testing.assert_allclose((1 / mbps[state]).mean(), (1 / rates).mean())


def test_least_rate_is_a_state_where_it_is_the_median():
    links, drift = link_states([1, 1, 10, 20, 1], num_states=2)
    assert [link.mbps for link in links.values()] == pytest.approx([1, 40 / 3])
    chain = drift.chain(5, 2)
    assert chain.transition[chain.phase, 0].argmax(1).tolist() == [0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Machine(0), "gflops must be > 0"),
        (lambda: Machine(1, watts=-1), "watts must be a finite number >= 0"),
        (lambda: Link(-1), "mbps must be a finite number >= 0"),
        (lambda: cellular("5g"), "generation must be one of 3g, 4g, wifi"),
        (lambda: PROFILE.costs("s"), "unit must be one of ms, mJ, bytes, money"),
        (lambda: Profile([1], [1], [1], PHONE, LINK, SERVER), "at least 2"),
        (lambda: Profile([1, 2], [1], [1, 1], PHONE, LINK, SERVER), "head_flops"),
        (lambda: Profile([1, -2], [1, 1], [1, 1], PHONE, LINK, SERVER), ">= 0"),
        (
            lambda: Profile.of(random_trace(9, 3), PHONE, LINK, SERVER),
            "layer_flops in its metadata",
        ),
        (
            lambda: Profile.of(
                jsplit.sample_trace("digits"), PHONE, LINK, SERVER, bits=3
            ),
            r"bits must be one of those recorded \(2, 4, 8\)",
        ),
        (lambda: link_states([]), "mbps must be rates > 0"),
        (lambda: link_states(["a"]), "mbps must be rates > 0"),
        (lambda: link_states([1, 2], rtt=3), "a number of a link must be one of"),
        (lambda: link_states([1, 0]), "mbps must be rates > 0"),
        (lambda: link_states([2, 2, 2]), "at least two different rates"),
    ],
)
def test_bad_numbers_are_named(make, message):
    with pytest.raises(JsplitError, match=message):
        make()


def test_summary_and_table_show_tails_and_late_steps():
    trace = random_trace(60, 4, seed=1)
    result = jsplit.evaluate(
        trace,
        ["final_exit", "offload_all"],
        jsplit.Costs.splitee(4, offload=0.2),
        num_replicas=2,
        bills={"bytes": jsplit.Costs([0.0] * 4, offload=7.0)},
        deadlines={"cost": 0.3},
    )
    summary = result.summarize()
    table = summary.data
    extra = ["cost_p95", "cost_p99", "cost_late", "bytes", "bytes_p95", "bytes_p99"]
    assert table.metric.values[-6:].tolist() == extra
    means = table["mean"].sel(metric=extra).values
    np.testing.assert_allclose(means[0], [0.34, 0.34, 1, 0, 0, 0])
    np.testing.assert_allclose(means[1], [0.28, 0.28, 0, 7, 7, 7])
    text = jsplit.report.to_markdown(summary)
    assert "| cost late % |" in text
    assert "Late: cost above 0.3." in text
