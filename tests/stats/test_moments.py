"""Bands from moments, against bands from every replica's curve."""

import numpy as np
import pytest

from jsplit import stats
from jsplit.stats import moments as kept

SHARED = stats.Streams()
RESAMPLED = stats.Streams("bootstrap", num_orders=4)


def curves(num_replicas=240, seed=0):
    """Three curves of growing sums; the last one is the same in every replica."""
    rng = np.random.default_rng(seed)
    steps = rng.gamma(1.5, size=(3, 9, num_replicas)).cumsum(1)
    steps += rng.normal(size=(3, 1, num_replicas // 4)).repeat(4, -1)
    steps[2] = np.arange(9)[:, None]
    return steps


@pytest.mark.parametrize("streams", [SHARED, RESAMPLED], ids=["shuffle", "bootstrap"])
def test_pointwise_band_is_the_mean_interval(streams):
    values = curves(120)
    # Moments know no skewness: with every curve comes its mirror image.
    values = np.concatenate([values, 20 - values], -1)
    values[2] = values[2, :, :1]
    found = kept.pointwise_band(kept.moments(values, streams), streams, level=0.9)
    expected = stats.mean_interval(values, level=0.9, streams=streams)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    assert (found.low[2] == found.high[2]).all()


@pytest.mark.parametrize("streams", [SHARED, RESAMPLED], ids=["shuffle", "bootstrap"])
def test_plugin_band_is_close_to_the_resampled_one(streams):
    values = curves(2_000)
    found = kept.plugin_band(kept.moments(values, streams), streams)
    expected = stats.simultaneous_band(values, streams=streams)
    width, reference = (band.high - band.low for band in (found, expected))
    np.testing.assert_allclose(width[:2], reference[:2], rtol=0.1)
    assert (width[2] == 0).all()
    pointwise = kept.pointwise_band(kept.moments(values, streams), streams)
    assert (width[:2] > 1.1 * (pointwise.high - pointwise.low)[:2]).all()


@pytest.mark.parametrize("streams", [SHARED, RESAMPLED], ids=["shuffle", "bootstrap"])
def test_merged_parts_are_the_whole(streams):
    values = curves()
    cuts = [slice(0, 16), slice(16, 100), slice(100, 240)]
    parts = [kept.moments(values[..., cut], streams) for cut in cuts]
    sizes = [cut.stop - cut.start for cut in cuts]
    found = kept.merged(parts, sizes)
    expected = kept.moments(values, streams)
    assert found.num_units == expected.num_units
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("streams", [SHARED, RESAMPLED], ids=["shuffle", "bootstrap"])
def test_a_single_unit_tells_nothing_of_its_error(streams):
    values = curves()[..., : streams.replicas_per_unit]
    found = kept.moments(values, streams)
    for band in (kept.pointwise_band, kept.plugin_band):
        assert np.isnan(band(found, streams).low[:2]).all()
