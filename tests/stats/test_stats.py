import numpy as np
import pytest
from scipy import stats as scipy_stats

from jsplit import stats
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

REPETITIONS = 4_000
# Three standard deviations of a binomial proportion, about one percentage point.
TOLERANCE = 3 * np.sqrt(0.95 * 0.05 / REPETITIONS)


def rng(seed=0):
    return np.random.default_rng(seed)


def coverage(interval, truth):
    return np.mean((interval.low <= truth) & (truth <= interval.high))


def bernoulli_means(num_replicas):
    """Accuracies of runs over 50 samples, as the engine hands them in."""
    return rng(2).binomial(50, 0.8, (REPETITIONS, num_replicas)) / 50, 0.8


def lognormal(num_replicas):
    return rng(1).lognormal(0.0, 0.5, (REPETITIONS, num_replicas)), np.exp(0.125)


def normal(num_replicas):
    return rng(3).normal(2.0, 3.0, (REPETITIONS, num_replicas)), 2.0


@pytest.mark.parametrize(
    ("draw", "num_replicas"),
    [
        (normal, 40),
        (bernoulli_means, 40),
        (normal, 200),
        (bernoulli_means, 200),
        (lognormal, 200),
    ],
)
def test_mean_interval_covers_the_mean_at_its_level(draw, num_replicas):
    values, truth = draw(num_replicas)
    assert abs(coverage(stats.mean_interval(values), truth) - 0.95) < TOLERANCE
    # The same check must notice an interval of another level.
    too_narrow = stats.mean_interval(values, level=0.92)
    assert abs(coverage(too_narrow, truth) - 0.95) > TOLERANCE


def event(num_replicas):
    drawn = rng(21).random((REPETITIONS, num_replicas)) < 0.05
    return drawn.astype(float), 0.05


def stuck(num_replicas):
    """A tenth of the runs has ten times the regret of the others."""
    drawn = rng(22).normal(1, 0.1, (REPETITIONS, num_replicas))
    rare = rng(23).random(drawn.shape) < 0.1
    return np.where(rare, 10, 1) * drawn, 1.9


def exponential(num_replicas):
    return rng(24).exponential(size=(REPETITIONS, num_replicas)), 1.0


def heavy(num_replicas):
    return rng(25).lognormal(size=(REPETITIONS, num_replicas)), np.exp(0.5)


@pytest.mark.parametrize("draw", [event, stuck, exponential, heavy])
def test_rare_and_skewed_outcomes_are_covered_or_unknown(draw):
    for num_replicas in (4, 8, 30, 99, 100, 300):
        values, truth = draw(num_replicas)
        found = stats.mean_interval(values)
        known = np.isfinite(found.low)
        if num_replicas < 29:
            assert not known.any()
            continue
        alike = np.ptp(values, axis=-1) == 0
        np.testing.assert_array_equal(known, ~alike | (num_replicas > 58))
        assert coverage(found, truth) + np.mean(~known) > 0.93 - TOLERANCE


@pytest.mark.parametrize("num_replicas", [2, 3, 4, 8, 30, 100])
def test_a_true_null_is_rejected_at_most_at_its_level_and_never_at_0(num_replicas):
    zero = np.zeros((REPETITIONS, num_replicas))
    few = rng(26).choice([-1.0, 0.0, 1.0], size=zero.shape, p=[0.1, 0.8, 0.1])
    same = rng(27).choice([-1.0, 1.0], size=zero.shape)
    values, truth = event(num_replicas)
    other, mean = stuck(num_replicas)
    for sample in (few, same, values - truth, other - mean):
        p_value = stats.paired_difference(sample, zero).p_value
        assert p_value.min() > 0
        assert np.mean(p_value < 0.05) < 0.07  # 0.05 where replicas are symmetric
    assert np.mean(stats.paired_difference(few, zero).p_value < 0.05) < 0.05 + TOLERANCE


def test_more_skewed_replicas_are_never_covered_less():
    values, truth = heavy(120)
    covered = [
        coverage(stats.mean_interval(values[:, :num]), truth) for num in (90, 99, 120)
    ]
    assert np.diff(covered).min() > -TOLERANCE


def test_skewed_limits_lie_beyond_students_on_the_long_side():
    values = rng(28).exponential(size=60)
    found = stats.mean_interval(values)
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval()
    assert found.high > expected.high + 0.05
    assert found.low == pytest.approx(expected.low)
    mirrored = stats.mean_interval(-values)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_p_value_and_interval_agree_on_skewed_differences():
    values = rng(29).exponential(size=(500, 40)) - 1.25
    paired = stats.paired_difference(values, np.zeros_like(values))
    outside = (paired.low > 0) | (paired.high < 0)
    np.testing.assert_array_equal(paired.p_value < 0.05, outside)
    assert 50 < outside.sum() < 450


@pytest.mark.parametrize("num_replicas", [80, 200])
def test_paired_difference_covers_and_rejects_at_its_level(num_replicas):
    common = rng(4).normal(0, 5, (REPETITIONS, num_replicas))
    noise = rng(5).normal(0, 1, (2, REPETITIONS, num_replicas))
    paired = stats.paired_difference(common + noise[0], common + noise[1])
    assert abs(coverage(paired, 0.0) - 0.95) < TOLERANCE
    assert abs(np.mean(paired.p_value < 0.05) - 0.05) < TOLERANCE
    assert paired.correlation.mean() == pytest.approx(25 / 26, abs=0.01)


@pytest.mark.parametrize("num_replicas", [80, 200])
def test_relative_change_covers_the_ratio_of_means(num_replicas):
    cost = rng(6).gamma(4.0, 1.0, (REPETITIONS, num_replicas))
    saving = rng(7).uniform(0.4, 0.8, cost.shape)
    change = stats.relative_change(cost * saving, cost)
    assert abs(coverage(change, -40.0) - 0.95) < TOLERANCE
    unpaired = stats.relative_change(cost[::-1] * saving, cost)
    assert np.median(unpaired.high - unpaired.low) > 1.5 * np.median(
        change.high - change.low
    )


def test_bootstrap_stream_covers_the_population_and_shuffle_does_not():
    """Replicas that resample one test set vary around it, not around the truth."""
    test_set = rng(8).binomial(400, 0.8, (REPETITIONS, 1)) / 400
    replicas = rng(9).binomial(400, test_set, (REPETITIONS, 256)) / 400
    as_test_sets = stats.mean_interval(replicas, streams=stats.Streams("bootstrap"))
    assert abs(coverage(as_test_sets, 0.8) - 0.95) < TOLERANCE
    assert coverage(stats.mean_interval(replicas), 0.8) < 0.2


def test_width_shrinks_with_replicas_only_if_the_stream_allows_it():
    values = rng().normal(size=6_400)

    def width(num_replicas, stream):
        streams = stats.Streams(stream)
        _, low, high = stats.mean_interval(values[:num_replicas], streams=streams)
        return high - low

    assert width(400, "shuffle") / width(6_400, "shuffle") == pytest.approx(4, rel=0.1)
    assert width(36, "shuffle") / width(576, "shuffle") == pytest.approx(4, rel=0.3)
    assert width(400, "bootstrap") == pytest.approx(width(6_400, "bootstrap"), rel=0.1)


def symmetric(values):
    """Adds to every value its mirror image: without skewness all is Student's."""
    return np.concatenate([values, 2.0 - values], -1)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_mean_interval_equals_scipy(level):
    values = symmetric(rng().normal(size=(3, 50)))
    result = stats.mean_interval(values, level=level)
    expected = scipy_stats.ttest_1samp(values, 0, axis=-1).confidence_interval(level)
    np.testing.assert_allclose(result.mean, values.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(result.low, expected.low, rtol=1e-12)
    np.testing.assert_allclose(result.high, expected.high, rtol=1e-12)


@pytest.mark.parametrize("num_replicas", [60, 100])
def test_paired_difference_equals_scipy(num_replicas):
    ours, theirs = symmetric(rng().normal(size=(2, 3, num_replicas // 2)))
    ours += 0.5 * theirs - 0.4
    paired = stats.paired_difference(ours, theirs)
    expected = scipy_stats.ttest_rel(ours, theirs, axis=-1)
    np.testing.assert_allclose(paired.mean, (ours - theirs).mean(-1), rtol=1e-12)
    np.testing.assert_allclose(paired.p_value, expected.pvalue, rtol=1e-9)
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]
    np.testing.assert_allclose(paired.correlation, correlation, rtol=1e-12)
    interval = expected.confidence_interval()
    np.testing.assert_allclose(paired.low, interval.low, rtol=1e-9)
    np.testing.assert_allclose(paired.high, interval.high, rtol=1e-9)


def test_relative_change_equals_the_delta_method_by_hand():
    # The linearised ratio is symmetric too.
    ours, theirs = symmetric(rng().uniform(0.5, 1.5, (2, 75))) + 1
    result = stats.relative_change(ours, theirs)
    ratio = ours.mean() / theirs.mean()
    covariance = np.cov(ours, theirs)
    variance = (
        covariance[0, 0] + ratio**2 * covariance[1, 1] - 2 * ratio * covariance[0, 1]
    ) / (150 * theirs.mean() ** 2)
    half = scipy_stats.t.ppf(0.975, 149) * 100 * np.sqrt(variance)
    center = 100 * (ratio - 1)
    expected = [center, center - half, center + half]
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_holm_matches_a_hand_example_and_keeps_nan():
    # Ascending .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04; the last is lifted.
    adjusted = stats.holm([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(stats.holm([0.9, 0.8]), [1.0, 1.0])
    assert np.isnan(stats.holm([np.nan])).all()
    assert stats.holm([]).shape == (0,)


@pytest.mark.parametrize("stream", stats.STREAMS)
@pytest.mark.parametrize("num_replicas", [2, 50, 1000])
def test_equal_replicas_have_zero_width_at_exactly_the_value(num_replicas, stream):
    values = np.full(num_replicas, 0.1)
    options = {"streams": stats.Streams(stream), "exact": True}
    assert stats.mean_interval(values, **options) == (0.1, 0.1, 0.1)
    assert stats.relative_change(values, values, **options) == (0, 0, 0)
    same = stats.paired_difference(values, values, **options)
    assert same[:3] == (0, 0, 0)
    assert same.p_value == 1
    assert np.isnan(same.correlation)
    higher = stats.paired_difference(values + 1, values, **options)
    assert higher.low == higher.high == higher.mean == pytest.approx(1)
    assert higher.p_value == np.finfo(float).tiny


def test_rounding_is_neither_spread_nor_evidence():
    billed = np.array([0.1 + 0.2] * 60 + [0.3] * 60)
    assert stats.mean_interval(billed).low == stats.mean_interval(billed).high
    paired = stats.paired_difference(billed, np.full(120, 0.3))
    assert paired[:3] == (0, 0, 0)
    assert paired.p_value == 1
    added = np.where(rng().random(120) < 0.5, np.float32(0.41473), 0.41473)  # 2e-8 off
    assert stats.mean_interval(added).low == stats.mean_interval(added).high
    assert stats.paired_difference(added, np.full(120, 0.41473)).p_value == 1
    seen = np.where(np.arange(120) == 0, 0.3 + 1e-5, 0.3)  # a step of 100,000
    assert stats.mean_interval(seen).low < stats.mean_interval(seen).high


def test_constant_and_varying_rows_do_not_disturb_each_other():
    varying = rng().normal(size=200)
    rows = np.stack([varying, np.full(200, 7.0)])
    result = stats.mean_interval(rows)
    assert (result.mean[1], result.low[1], result.high[1]) == (7, 7, 7)
    alone = stats.mean_interval(varying)
    assert (result.low[0], result.high[0]) == (alone.low, alone.high)
    paired = stats.paired_difference(rows, rows[::-1])
    assert np.isnan(paired.correlation).all()
    assert (paired.p_value > 0).all()


def test_proportional_replicas_have_an_exact_relative_change():
    cost = rng().uniform(1, 2, 120)
    change = stats.relative_change(cost / 3, cost)
    assert change.low == change.high == pytest.approx(-200 / 3)


def test_ratio_is_of_sums_and_exact_where_values_are_proportional():
    """However many units of weight a replica has."""
    weights = np.array([1.0, 3.0, 2.0] * 50)
    assert stats.ratio_interval(weights / 3, weights) == pytest.approx((1 / 3,) * 3)
    values = np.where(weights == 1, 1.0, 0.0)
    mean, low, high = stats.ratio_interval(values, weights)
    assert mean == pytest.approx(50 / 300)  # a mean of ratios would be 1/3
    change = stats.relative_change(values, weights)
    assert 100 * (low - 1) == pytest.approx(change.low)
    assert 100 * (high - 1) == pytest.approx(change.high)
    assert np.isnan(stats.ratio_interval(np.zeros(120), np.zeros(120))).all()
    with pytest.raises(JsplitError, match="weights must have the shape"):
        stats.ratio_interval(values, weights[:3])


@pytest.mark.parametrize("num_replicas", [150, 60])
def test_ratio_rests_on_the_replicas_that_have_any(num_replicas):
    """What holds in few replicas is known from these few, not from all."""
    weights, values = np.zeros((2, num_replicas))
    some = np.arange(3, 43)
    weights[some] = rng().integers(20, 40, 40)
    values[some] = rng(1).integers(1, 20, 40)
    found = stats.ratio_interval(values, weights)
    assert found == stats.ratio_interval(values[some], weights[some])
    few = np.where(np.arange(num_replicas) < 23, values, 0)
    found = stats.ratio_interval(few, np.where(few, weights, 0))
    assert np.isnan(found[1:]).all()  # 20 replicas speak, whatever their number
    one = np.where(np.arange(num_replicas) == 3, [[31], [31]], 0)
    found = stats.ratio_interval(
        np.stack([one[0], values]), np.stack([one[0], weights])
    )
    assert found.mean == pytest.approx([1, values.sum() / weights.sum()])
    np.testing.assert_array_equal(np.isfinite(found.low), [False, True])
    np.testing.assert_array_equal(np.isfinite(found.high), [False, True])


def test_ratio_rests_on_the_test_sets_that_have_any():
    weights = np.zeros(40)
    weights[[4, 5, 7]] = 3, 5, 6
    sets = {"streams": stats.Streams("bootstrap", num_orders=4)}
    assert np.isnan(stats.ratio_interval(weights**2, weights, **sets)[1:]).all()
    weights[[9, 30]] = 2, 7
    found = stats.ratio_interval(weights**2, weights, **sets)
    said = np.r_[4:12, 28:32]
    assert found == stats.ratio_interval(weights[said] ** 2, weights[said], **sets)


def test_relative_change_to_a_zero_baseline_is_nan():
    zero = np.tile([-1.0, 1.0], 30)
    for num in (60, 30):
        rows = np.stack([np.zeros(60), zero])[:, :num]
        assert np.isnan(stats.relative_change(np.ones((2, num)), rows)).all()


def test_one_replica_has_a_mean_but_no_interval():
    mean, low, high = stats.mean_interval([[1.0], [2.0]])
    np.testing.assert_array_equal(mean, [1, 2])
    assert np.isnan([low, high]).all()
    paired = stats.paired_difference([1.0], [3.0])
    assert paired.mean == -2
    assert np.isnan(paired[1:]).all()
    assert stats.relative_change([1.0], [2.0]).mean == -50


def test_two_test_sets_give_finite_limits():
    sets = stats.Streams("bootstrap")
    _, low, high = stats.mean_interval([1.0, 2.0], streams=sets)
    assert -np.inf < low < 1
    assert 2 < high < np.inf


@pytest.mark.parametrize(
    ("stream", "horizon", "expected"),
    [
        ("shuffle", 300, "simulation error: the same test set in other orders;"),
        ("shuffle", 50, "simulation error: 50 of the same 200 samples in other"),
        (
            "bootstrap",
            50,
            "test-set error: 200 samples resampled with replacement, runs of 50",
        ),
        ("fixed", 200, "none: one fixed order;"),
    ],
)
def test_covers_names_the_level_of_error(stream, horizon, expected):
    sentence = stats.covers(stream, horizon, 200)
    assert sentence.startswith(expected)
    assert "\n" not in sentence


GOOD = np.arange(4.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.mean_interval(GOOD, level=1), "level must .* got 1"),
        (lambda: stats.mean_interval(GOOD, level=0.0), "level must .* got 0.0"),
        (lambda: stats.mean_interval(GOOD, level=np.nan), "level must .* got nan"),
        (lambda: stats.Streams("sorted"), "fixed, got 'sorted'"),
        (lambda: stats.mean_interval([[1, np.nan]]), r"values .* got nan at \(0, 1\)"),
        (lambda: stats.mean_interval(3.0), r"values must have .* got shape \(\)"),
        (lambda: stats.mean_interval([]), r"values must have .* got shape \(0,\)"),
        (lambda: stats.paired_difference(GOOD, GOOD[:3]), r"baseline .* got \(3,\)"),
        (lambda: stats.relative_change(GOOD, [1, 2, 3, np.inf]), "baseline .* got inf"),
        (lambda: stats.holm([[0.1]]), r"one axis, got shape \(1, 1\)"),
        (lambda: stats.holm([0.1, 1.5]), r"in \[0, 1\] or be NaN, got 1.5"),
        (lambda: stats.covers("sorted", 1, 1), "stream must be one of"),
        (lambda: stats.covers("fixed", 0, 1), "horizon must be an integer >= 1, got 0"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(call, message):
    with pytest.raises(JsplitError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values", ["x", ["1", "2"], {"a": 1}, [[1, 2], [3]], [1j, 2], [10**400]]
)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (stats.mean_interval, "values"),
        (lambda values: stats.paired_difference([1.0, 2.0], values), "baseline"),
        (stats.holm, "p_values"),
        (lambda values: stats.wilson_interval(values, 9), "num_successes"),
    ],
)
def test_what_is_no_number_is_one_line(call, name, values):
    message = f"^{name} must be numbers, in rows of one length, got "
    with pytest.raises(JsplitError, match=message) as error:
        call(values)
    assert "\n" not in str(error.value)
