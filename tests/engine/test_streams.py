"""Shuffles are fair permutations, resamples are fair draws, keys do what they say."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom, chi2

from jsplit.engine import streams

QUICK = {"xla_backend_optimization_level": 1}  # half the compile time; integers alone
REPLICAS = 200_000
ENOUGH = 1e-4  # Bonferroni-corrected p below which a stream counts as unfair
SMALL = [2, 3, 4, 5, 6, 7, 13, 37]
LARGE = [331, 1024, 5000]
BIJECTIVE = [10, 31, 257, 1000, 1023, 1024, 1025, 25_000, 1_000_003]  # beside SMALL


def pass_keys(num_samples, num_replicas, *, number=0, seed=0):
    """Keys of pass `number` of every replica, replicas last as in the engine."""
    rounds = streams.ROUNDS_SMALL, streams.ROUNDS_MEDIUM, streams.ROUNDS_LARGE
    # One program for all N of as many rounds: keys depend on N by these alone.
    same_rounds = max(n for n in (2, streams.MEDIUM, streams.LARGE) if n <= num_samples)
    return _pass_keys(jax.random.key(seed), number, same_rounds, num_replicas, rounds)


@functools.partial(jax.jit, static_argnums=(2, 3, 4), compiler_options=QUICK)
def _pass_keys(key, number, num_samples, num_replicas, rounds):
    del rounds  # of the module; other ones are another program
    each = jax.random.split(key, num_replicas)
    one = functools.partial(streams.replica_keys, num_samples=num_samples)
    return streams.pass_keys(jax.vmap(one, 0, -1)(each), number)


@functools.partial(jax.jit, static_argnums=(0, 3), compiler_options=QUICK)
def sample_at(kind, positions, keys, num_samples):
    return streams.sample_at(kind, positions[:, None], keys, num_samples)


def orders(kind, num_samples, num_replicas, *, positions=None, **which):
    """[positions, replicas] int64 samples, all positions by default."""
    keys = pass_keys(num_samples, num_replicas, **which)
    positions = np.arange(num_samples) if positions is None else np.array(positions)
    return np.asarray(
        sample_at(kind, jnp.asarray(positions, jnp.int32), keys, num_samples), np.int64
    )


def p_value(counts, share=None):
    """p of Pearson's chi-square test that cells have these shares, equal by default."""
    counts = np.asarray(counts, float)
    share = np.full(counts.size, 1 / counts.size) if share is None else share
    expected = counts.sum() * share
    assert expected.min() > 10
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - 1)


def corrected(p_values):
    """The smallest p times the number of tests (Bonferroni)."""
    return min(p_values) * len(p_values)


def p_of_small_shuffles(num_samples):
    """Samples at every position, at every two positions, and whole permutations."""
    order = orders("shuffle", num_samples, REPLICAS)
    assert (np.sort(order, 0) == np.arange(num_samples)[:, None]).all()
    p_values = [p_value(np.bincount(row, minlength=num_samples)) for row in order]
    distinct = ~np.eye(num_samples, dtype=bool).ravel()
    pairs = list(itertools.combinations(range(num_samples), 2))
    for i, j in pairs[:: 1 if num_samples < 20 else 5]:
        both = order[i] * num_samples + order[j]
        p_values.append(p_value(np.bincount(both, minlength=distinct.size)[distinct]))
    if num_samples <= 5:
        code = num_samples ** np.arange(num_samples) @ order
        counts = np.unique(code, return_counts=True)[1]
        assert counts.size == math.factorial(num_samples)
        p_values.append(p_value(counts))
    return corrected(p_values)


def p_of_large_shuffles(num_samples):
    """Coarse bins of single positions; distance, mod N, between two positions.

    The two positions are neighbours in the rectangle of the Feistel network, where a
    weak round function would show, or arbitrary.
    """
    _, width = streams._rectangle(num_samples)
    positions = [0, 1, 2, width - 1, width, width + 1, 2 * width, 7 * width + 3]
    positions += [num_samples // 2, num_samples - width - 1, num_samples - 1]
    order = orders("shuffle", num_samples, REPLICAS, positions=positions)
    edges = np.linspace(0, num_samples, 65).round().astype(int)
    share = np.diff(edges) / num_samples
    p_values = [p_value(np.histogram(row, edges)[0], share) for row in order]
    for i, j in itertools.combinations(range(len(positions)), 2):
        distance = (order[i] - order[j]) % num_samples
        counts = np.bincount(distance, minlength=num_samples)
        assert counts[0] == 0
        p_values.append(p_value(counts[1:]))
    return corrected(p_values)


@pytest.mark.parametrize("num_samples", BIJECTIVE)
def test_shuffle_visits_every_sample_once(num_samples):
    num_replicas = 1 if num_samples > 100_000 else 8
    order = orders("shuffle", num_samples, num_replicas)
    for replica in order.T:
        np.testing.assert_array_equal(np.bincount(replica), np.ones(num_samples))


@pytest.mark.parametrize("num_samples", SMALL)
def test_shuffle_is_fair_on_positions_pairs_and_permutations(num_samples):
    assert p_of_small_shuffles(num_samples) > ENOUGH


@pytest.mark.parametrize("num_samples", [6, 7])
def test_fairness_rejects_a_shuffle_of_too_few_rounds(num_samples, monkeypatch):
    """The test above can fail: 8 rounds are not enough."""
    monkeypatch.setattr(streams, "ROUNDS_SMALL", 8)
    assert p_of_small_shuffles(num_samples) < 1e-12


@pytest.mark.parametrize("num_samples", LARGE)
def test_shuffle_of_many_samples_is_fair_on_positions_and_distances(num_samples):
    assert p_of_large_shuffles(num_samples) > ENOUGH


def test_fairness_rejects_a_large_shuffle_of_too_few_rounds(monkeypatch):
    monkeypatch.setattr(streams, "ROUNDS_LARGE", 2)
    assert p_of_large_shuffles(5000) < 1e-12


@pytest.mark.parametrize("num_samples", [6, 1024])
def test_passes_of_a_replica_are_independent(num_samples):
    """Two samples, of any position in one pass and in another, are any two."""
    positions = range(6) if num_samples == 6 else [0, 1, 32, 33, 500, 1023]
    first, *later = (
        orders("shuffle", num_samples, REPLICAS, positions=positions, number=number)
        for number in (0, 1, 2, 100)
    )
    p_values = []
    for other in later:
        for one, two in itertools.product(first, other):
            if num_samples == 6:
                both = np.bincount(one * 6 + two, minlength=36)
            else:
                both = np.bincount((one - two) % num_samples, minlength=num_samples)
            p_values.append(p_value(both))
    assert corrected(p_values) > ENOUGH


@pytest.mark.parametrize("kind", ["shuffle", "bootstrap"])
@pytest.mark.parametrize("num_samples", [100, 2000])
def test_passes_replicas_and_seeds_differ_but_repeat(kind, num_samples):
    order = orders(kind, num_samples, 8)
    np.testing.assert_array_equal(order, orders(kind, num_samples, 8))
    every = [
        *order.T,
        *orders(kind, num_samples, 8, number=1).T,
        *orders(kind, num_samples, 8, number=2).T,
        *orders(kind, num_samples, 8, seed=1).T,
    ]
    # Two independent orders agree at about one position.
    for a, b in itertools.combinations(every, 2):
        assert (a == b).mean() < 0.1


@pytest.mark.parametrize(
    ("one", "other"),
    [(2, streams.MEDIUM - 1), (streams.MEDIUM, 700), (streams.LARGE, 10**6)],
)
def test_keys_depend_on_the_number_of_rounds_alone(one, other):
    key = jax.random.key(0)
    jax.tree.map(
        np.testing.assert_array_equal,
        streams.replica_keys(key, one),
        streams.replica_keys(key, other),
    )


def test_one_replica_alone_equals_the_same_replica_in_a_block():
    block = pass_keys(100, 8)
    alone = jax.tree.map(lambda leaf: leaf[..., 3], block)
    positions = jnp.arange(100)
    for kind in ("shuffle", "bootstrap"):
        one = jax.jit(
            lambda keys, kind=kind: streams.sample_at(kind, positions, keys, 100)
        )
        together = sample_at(kind, positions, block, 100)
        np.testing.assert_array_equal(one(alone), together[:, 3])


def test_fixed_is_the_order_of_the_data():
    order = orders("fixed", 50, 8)
    np.testing.assert_array_equal(order, np.tile(np.arange(50)[:, None], 8))


@pytest.mark.parametrize("num_samples", [50, 3000])
def test_bootstrap_keeps_its_resample_in_another_order(num_samples):
    first, second, far = (
        orders("bootstrap", num_samples, 8, number=number) for number in (0, 1, 1000)
    )
    for other in (second, far):
        np.testing.assert_array_equal(np.sort(first, 0), np.sort(other, 0))
        assert (first == other).mean() < 0.2
    resamples = np.sort(first, 0).T
    for a, b in itertools.combinations(resamples, 2):
        assert (a != b).any()
    assert all(np.unique(one).size < num_samples for one in resamples)


def test_bootstrap_draws_are_uniform_and_independent():
    """So their counts are multinomial: every sample, every two positions."""
    num_samples = 10
    order = orders("bootstrap", num_samples, REPLICAS, seed=2)
    p_values = [p_value(np.bincount(row, minlength=num_samples)) for row in order]
    for i, j in itertools.combinations(range(num_samples), 2):
        both = order[i] * num_samples + order[j]
        p_values.append(p_value(np.bincount(both, minlength=num_samples**2)))
    assert corrected(p_values) > ENOUGH


@pytest.mark.parametrize(
    ("num_samples", "num_replicas"), [(10, 200_000), (300, 10_000)]
)
def test_bootstrap_counts_of_a_sample_are_binomial(num_samples, num_replicas):
    order = orders("bootstrap", num_samples, num_replicas, seed=3)
    share = binom.pmf(np.arange(4), num_samples, 1 / num_samples)
    share = np.append(share, 1 - share.sum())  # the last cell: 4 or more
    p_values = []
    for sample in (0, 1, num_samples // 2, num_samples - 1):
        times = np.minimum((order == sample).sum(0), 4)
        p_values.append(p_value(np.bincount(times, minlength=5), share))
    assert corrected(p_values) > ENOUGH


def test_bootstrap_draws_cover_the_range_beyond_16_bits():
    num_samples = 2**16 + 1
    order = orders("bootstrap", num_samples, 30, seed=4)
    counts = np.bincount(order.ravel(), minlength=num_samples)
    assert counts.size == num_samples  # none beyond the end
    assert counts.min() > 0  # a sample is missed with probability e^-30
    assert p_value(counts) > ENOUGH


@pytest.mark.parametrize("size", [2, 3, 65_535, 65_536, 65_537, 1_000_003, 2**31 - 1])
def test_draw_is_the_exact_product_of_32_bits(size):
    """floor(bits * size / 2^32) by 16-bit digits equals the same in 64 bits."""
    counter = jnp.arange(20_000, dtype=jnp.uint32)
    keys = jnp.array([123456789, 987654321], jnp.uint32)
    bits = streams._mix(streams._mix(counter + keys[0]) ^ keys[1])
    want = (np.asarray(bits, np.uint64) * np.uint64(size)) >> np.uint64(32)
    draws = np.asarray(streams._draw(counter, keys, size))
    np.testing.assert_array_equal(draws, want)


def test_mix_is_a_bijection_on_what_it_is_given():
    values = jnp.arange(200_000, dtype=jnp.uint32) * jnp.uint32(2654435761)
    assert np.unique(np.asarray(streams._mix(values))).size == values.size
