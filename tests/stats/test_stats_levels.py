"""Statistics beyond one interval: test sets, sets of policies, curves, stopping."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from jsplit import stats
from jsplit.stats import errors
from jsplit.types import JsplitError


def rng(seed=0):
    return np.random.default_rng(seed)


def grouped(num_sets, num_orders, between, within, rows=1, seed=0):
    """Replicas [rows, sets * orders] with known variance components."""
    sets = between * rng(seed).normal(size=(rows, num_sets, 1))
    orders = within * rng(seed + 1).normal(size=(rows, num_sets, num_orders))
    return (sets + orders).reshape(rows, -1)


def test_error_of_test_sets_is_the_component_between_them():
    values = grouped(400, 4, between=1.0, within=2.0, rows=300)
    error = errors.test_set_error(values, 4)
    simulation = (1 + 4 / 4) / 400
    assert np.mean(error.scale**2) == pytest.approx(1 + simulation, rel=0.03)
    # Told apart from the luck of the order, which the spread holds too.
    spread = errors.test_set_error(values, 1).scale
    assert np.mean(spread**2) == pytest.approx(5, rel=0.03)


def test_degrees_of_freedom_are_those_of_the_estimated_variance():
    """Of a scaled chi-square: 2 mean^2 / variance."""
    variance = errors.test_set_error(
        grouped(60, 4, between=1.0, within=1.0, rows=4_000), 4
    )
    squares = variance.scale**2
    freedom = 2 * squares.mean() ** 2 / squares.var()
    assert np.median(variance.freedom) == pytest.approx(freedom, rel=0.15)


def test_order_that_does_not_matter_leaves_one_value_per_test_set():
    values = np.repeat(rng().normal(size=50), 4)
    error = errors.test_set_error(values, 4)
    each = values[::4]
    assert error.scale == pytest.approx(each.std(ddof=1) * np.sqrt(1 + 1 / 50))
    assert error.freedom == pytest.approx(49)


def test_units_of_streams_are_test_sets_only_if_these_are_resampled():
    resampled = stats.Streams("bootstrap", num_orders=4)
    assert [resampled.num_units(num) for num in (3, 4, 7, 8)] == [0, 1, 1, 2]
    assert resampled.resampled
    for kind in ("shuffle", "fixed"):
        shared = stats.Streams(kind, num_orders=4)
        assert shared.num_units(7) == 7
        assert not shared.resampled


def test_too_few_test_sets_are_unknown_even_if_replicas_agree():
    options = {"streams": stats.Streams("bootstrap", num_orders=4)}
    for values in (np.ones(7), np.arange(7.0)):
        assert np.isnan(stats.mean_interval(values, **options)[1:]).all()
        assert np.isnan(stats.paired_difference(values, values * 2, **options).p_value)
    assert stats.mean_interval(np.ones(8), **options) == (1, 1, 1)


def test_benjamini_hochberg_equals_scipy_and_keeps_nan():
    raw = rng().uniform(size=30) ** 3
    expected = scipy_stats.false_discovery_control(raw)
    np.testing.assert_allclose(stats.benjamini_hochberg(raw), expected)
    with_nan = stats.benjamini_hochberg(np.insert(raw, 4, np.nan))
    np.testing.assert_allclose(np.delete(with_nan, 4), expected)
    assert np.isnan(with_nan[4])
    assert (stats.benjamini_hochberg(raw) <= stats.holm(raw) + 1e-12).all()


def test_wilson_equals_scipy():
    for count in (0, 3, 200):
        expected = scipy_stats.binomtest(count, 200).proportion_ci(method="wilson")
        found = stats.wilson_interval(count, 200)
        np.testing.assert_allclose(found[1:], expected, atol=1e-12)
    assert stats.wilson_interval(0, 10).low == 0
    assert stats.wilson_interval(10, 10).high == 1


def counted(num_samples):
    """Intervals of every count of successes, [N + 1]."""
    counts = np.arange(num_samples + 1)
    return stats.sample_interval(np.arange(num_samples) < counts[:, None])


@pytest.mark.parametrize("num_samples", [50, 200, 872, 3000])
def test_rates_near_1_are_covered_and_stay_in_their_range(num_samples):
    found = counted(num_samples)
    assert found.low.min() >= 0
    assert found.high.max() <= 1
    assert (found.high > found.low).all()
    for rate in (0.7, 0.8, 0.9, 0.98, 0.995, 0.999):
        chance = scipy_stats.binom.pmf(np.arange(num_samples + 1), num_samples, rate)
        covered = chance[(found.low <= rate) & (rate <= found.high)].sum()
        misses = num_samples * (1 - rate)
        assert 0.935 < covered <= (0.98 if misses >= 10 else 1), rate
        if misses > 100:
            assert covered < 0.96


def test_every_rate_is_covered():
    """Whatever the expected number of misses, not only round ones."""
    found, counts = counted(1000), np.arange(1001)
    for misses in np.geomspace(0.05, 40, 300):
        rate = 1 - misses / 1000
        chance = scipy_stats.binom.pmf(counts, 1000, rate)
        covered = chance[(found.low <= rate) & (rate <= found.high)].sum()
        assert covered > 0.93, misses


def test_limits_of_rates_lie_between_those_of_jeffreys_and_of_clopper_and_pearson():
    found, misses = counted(1000), np.arange(1, 12)
    beta = scipy_stats.beta.ppf
    jeffreys, clopper_pearson = (
        beta(0.975, misses + added, 1001 - misses - added) for added in (0.5, 1.0)
    )
    limit = 1 - found.low[1000 - misses]
    assert (limit > 0.98 * jeffreys).all()
    assert (limit < 1.02 * clopper_pearson).all()
    assert 1 - found.low[-1] == pytest.approx(3 / 1000, rel=0.05)


def test_limits_of_costs_follow_their_skewness_and_what_was_not_seen():
    shipped = (np.arange(100) < 3) * 0.5 + 0.1
    found = stats.sample_interval(shipped, possible=stats.SampleRange(0.1, 0.6, 100))
    rate = stats.sample_interval(np.arange(100) < 3)
    np.testing.assert_allclose(found, 0.1 + 0.5 * np.array(rate))
    mirrored = stats.sample_interval(
        -shipped, possible=stats.SampleRange(-0.6, -0.1, 100)
    )
    np.testing.assert_allclose(mirrored[:1] + mirrored[:0:-1], np.negative(found))
    never = stats.sample_interval(
        np.full(100, 0.1), possible=stats.SampleRange(0.1, 0.6, 100)
    )
    assert never.low == never.mean == 0.1 < never.high < 0.12
    always = stats.sample_interval(
        np.full(100, 0.1), possible=stats.SampleRange(0.1, 0.1, 100)
    )
    assert always == (0.1, 0.1, 0.1)
    assert stats.sample_interval([0.3], possible=stats.SampleRange(0, 1, 1)).high <= 1


def test_resampled_test_sets_that_agree_have_a_width():
    sets = stats.Streams("bootstrap", num_orders=4)
    possible = stats.SampleRange(0.0, 1.0, 50)
    rates = np.stack([np.ones(64), np.repeat([0.98, 1.0, 0.96, 1.0], 16)])
    found = stats.mean_interval(rates, streams=sets, possible=possible)
    assert found.high[0] == 1 > found.low[0] > 0.93
    assert (found.low < found.mean).all()
    assert (found.high <= 1).all()
    gap = stats.SampleRange(-1.0, 1.0, 50)
    paired = stats.paired_difference(rates, rates[::-1], streams=sets, possible=gap)
    assert (np.abs([paired.low, paired.high]) <= 1).all()
    same = stats.paired_difference(rates, rates, streams=sets, possible=gap)
    assert (same.low < 0).all()
    assert (same.high > 0).all()


def test_bootstrap_of_a_high_rate_covers_the_population():
    rate, num = 0.98, 200
    tests = rng(5).binomial(num, rate, (2000, 1)) / num
    sets = rng(6).binomial(num, tests, (2000, 64)).repeat(4, 1) / num
    streams = stats.Streams("bootstrap", num_orders=4)
    options = {"streams": streams, "possible": stats.SampleRange(0.0, 1.0, num)}
    found = stats.mean_interval(sets, **options)
    covered = np.mean((found.low <= rate) & (rate <= found.high))
    assert 0.935 < covered <= 0.99
    plain = stats.mean_interval(sets, streams=streams)
    assert np.mean((plain.low <= rate) & (rate <= plain.high)) < 0.92
    assert (plain.high > 1).any()
    assert (found.high <= 1).all()


@pytest.mark.parametrize("attained", [True, False])
def test_p_values_turn_the_interval_of_resampled_test_sets_round(attained):
    sets = stats.Streams("bootstrap", num_orders=4)
    ours, theirs = rng(8).binomial(200, [[[0.98]], [[0.96]]], (2, 40, 64)) / 200
    ours, theirs = ours.repeat(4, -1), theirs.repeat(4, -1)
    possible = stats.SampleRange(-1.0, 1.0, 200, attained)
    found = stats.paired_difference(ours, theirs, streams=sets, possible=possible)
    assert found.p_value.min() > 0
    for row in range(len(ours)):
        for factor, is_out in ((0.99, True), (1.01, False)):
            again = stats.paired_difference(
                ours[row],
                theirs[row],
                level=max(1 - found.p_value[row] / factor, 1e-9),
                streams=sets,
                possible=possible,
            )
            assert (again.low > 0 or again.high < 0) == is_out


def test_far_ends_of_a_range_that_are_never_met_do_not_count():
    """Confidences of .8 to .9: nothing speaks for samples at 0."""
    values = rng(9).uniform(0.8, 0.9, 200)
    wide = stats.SampleRange(0.0, 1.0, 200)
    plain = stats.sample_interval(values)
    near = stats.sample_interval(values, possible=wide._replace(attained=False))
    far = stats.sample_interval(values, possible=wide)
    assert far.high - far.low > 1.5 * (near.high - near.low)
    assert near.high - near.low < 1.1 * (plain.high - plain.low)
    rate = rng(9).random(200) < 0.9  # of which the ends are the two values there are
    np.testing.assert_allclose(
        stats.sample_interval(rate),
        stats.sample_interval(rate + 0.0, possible=wide._replace(attained=False)),
    )
    same = stats.sample_interval(np.full(200, 0.8), possible=wide)
    assert same.low < 0.8 < same.high


def test_sample_interval_takes_t_for_numbers_of_unknown_range():
    costs = rng().gamma(2.0, size=80)
    expected = scipy_stats.ttest_1samp(costs, 0).confidence_interval()
    np.testing.assert_allclose(stats.sample_interval(costs)[1:], expected)
    assert stats.sample_interval([1.0] * 5) == (1, 1, 1)  # a cost, not a rate
    assert np.isnan(stats.sample_interval([0.3]).low)


def test_training_interval_by_hand():
    values = rng().normal(size=(4, 1)) + 0.1 * rng(1).normal(size=(4, 500))
    found = stats.training_interval(values)
    of_traces = values.mean(1).var(ddof=1) / 4
    half = scipy_stats.t.ppf(0.975, 3) * np.sqrt(of_traces)
    assert found.mean == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.01)
    assert stats.training_interval(np.ones((3, 5))) == (1, 1, 1)
    assert np.isnan(stats.training_interval(np.ones((1, 5))).low)


def test_training_interval_counts_the_common_test_set_once():
    """Traces that answer alike: their mean is no better known than each of them."""
    shared = rng().normal(size=400)
    streams = stats.Streams("bootstrap")
    found = stats.training_interval(np.stack([shared] * 5), streams=streams)
    one = stats.mean_interval(shared, streams=streams)
    np.testing.assert_allclose(found, one, rtol=1e-6)


def test_best_set_keeps_ties_and_drops_what_is_clearly_worse():
    common = rng().normal(size=200)
    noise = 0.1 * rng(1).normal(size=(4, 200))
    values = np.array([[1.0], [1.0], [0.9], [0.0]]) + common + noise
    assert stats.best_set(values).tolist() == [True, True, False, False]
    worst = stats.best_set(values, higher_is_better=False)
    assert worst.tolist() == [False, False, False, True]
    # Unpaired, the common part of the streams would hide the third.
    shuffled = np.stack([rng(2 + i).permutation(row) for i, row in enumerate(values)])
    assert stats.best_set(shuffled)[2]


def test_best_set_of_constant_and_equal_policies():
    values = np.repeat([[0.8], [0.8 + 1e-16], [0.7]], 50, axis=1)
    assert stats.best_set(values).tolist() == [True, True, False]
    assert stats.best_set(values[:, :1]).all()  # one replica tells nothing
    assert stats.best_set(values[:1]).tolist() == [True]
    few = {"streams": stats.Streams("bootstrap", num_orders=4)}
    assert stats.best_set(values[:, :3], **few).all()  # not even one test set
    assert stats.best_set(values[:, :4], **few).all()
    assert stats.best_set(values[:, :8], **few).tolist() == [True, True, False]


def test_best_set_errs_on_a_tie_at_most_as_often_as_it_may():
    values = rng(3).normal(size=(200, 4, 60))
    kept = np.mean([stats.best_set(one).all() for one in values])
    assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200) < kept
    assert np.mean([stats.best_set(one, level=0.5).all() for one in values]) < 0.7


def test_simultaneous_band_is_the_t_interval_for_one_checkpoint():
    curve = rng().normal(size=(1, 400))
    band, point = stats.simultaneous_band(curve), stats.mean_interval(curve)
    np.testing.assert_allclose(band, point, atol=0.01)


def test_simultaneous_band_of_independent_checkpoints_is_sidaks():
    curves = rng().normal(size=(20, 1_000))
    band, point = stats.simultaneous_band(curves), stats.mean_interval(curves)
    ratio = (band.high - band.low) / (point.high - point.low)
    expected = scipy_stats.norm.ppf((1 + 0.95 ** (1 / 20)) / 2) / 1.96
    np.testing.assert_allclose(ratio, expected, rtol=0.04)
    same = np.repeat(curves[:1], 20, axis=0)
    band, point = stats.simultaneous_band(same), stats.mean_interval(same)
    np.testing.assert_allclose(band.low, point.low, atol=0.006)


def test_simultaneous_band_has_zero_width_where_replicas_agree():
    curves = np.stack([np.full(40, 2.5), rng().normal(size=40)])
    band = stats.simultaneous_band(curves)
    assert band.low[0] == band.high[0] == 2.5
    assert band.low[1] < band.high[1]
    few = stats.simultaneous_band(curves[:, :5])
    assert few.low[0] == 2.5
    assert np.isnan(few.low[1])


def test_confidence_sequence_is_the_published_formula_and_wider_than_t():
    values = rng().normal(size=1024)
    found = stats.confidence_sequence(values, tuned_for=1024)
    log = np.log(0.05)
    rho2 = (-2 * log + np.log(-2 * log) + 1) / 1024
    inside = 1024 * rho2 + 1
    expected = values.std(ddof=1) * np.sqrt(
        2 * inside / (1024**2 * rho2) * np.log(np.sqrt(inside) / 0.05)
    )
    assert found.high - found.mean == pytest.approx(expected)
    t = stats.half_width(values)
    assert 1.3 < stats.half_width(values, method="anytime", tuned_for=1024) / t < 1.7
    assert stats.confidence_sequence(np.full(300, 0.1)) == (0.1, 0.1, 0.1)
    # Tuned for this number of replicas it is tightest here.
    other = stats.confidence_sequence(values, tuned_for=64)
    assert other.high - other.low > found.high - found.low


def test_half_width_is_not_known_before_256_replicas():
    values = rng().normal(size=(2, 300))
    assert np.isinf(stats.half_width(values[:, :255])).all()
    interval = stats.mean_interval(values)
    expected = (interval.high - interval.low) / 2
    np.testing.assert_allclose(stats.half_width(values), expected)
    assert stats.half_width(np.ones(256)) == 0


@pytest.mark.parametrize("difference", [1.5, 0.3, 0.02])
def test_replicas_needed_gives_the_power_of_scipys_noncentral_t(difference):
    num = stats.replicas_needed(1.0, -difference, power=0.9)

    def power(num):
        limit = scipy_stats.t.ppf(0.975, num - 1)
        far = scipy_stats.nct.sf(limit, num - 1, difference * np.sqrt(num))
        return far + scipy_stats.nct.cdf(-limit, num - 1, difference * np.sqrt(num))

    assert power(num) >= 0.9 > power(num - 1)


GOOD = np.arange(8.0).reshape(2, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.wilson_interval(5, 4), "num_successes .* 0 to 4, got 5"),
        (lambda: stats.wilson_interval(0.5, 4), "num_successes .* got 0.5"),
        (lambda: stats.best_set(GOOD[0]), "values must have 2 axes .* got shape"),
        (lambda: stats.best_set(GOOD[None]), r"policies, replicas\], got \(1, 2, 4\)"),
        (lambda: stats.simultaneous_band(GOOD, level=2), "level must .* got 2"),
        (lambda: stats.half_width(GOOD, method="z"), "method must be one of t, any"),
        (lambda: stats.confidence_sequence(GOOD, tuned_for=1), "tuned_for .* got 1"),
        (lambda: stats.replicas_needed(0, 1), "sd_of_difference must not be 0"),
        (lambda: stats.replicas_needed(1, 0), "difference must not be 0"),
        (lambda: stats.replicas_needed(1, 1, power=0.04), "power must be above"),
        (lambda: stats.replicas_needed(1, 1e-9), "difference must not be that small"),
        (lambda: stats.Streams(num_orders=0), "num_orders .* got 0"),
        (lambda: stats.benjamini_hochberg([2.0]), "p_values .* got 2.0"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(call, message):
    with pytest.raises(JsplitError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
