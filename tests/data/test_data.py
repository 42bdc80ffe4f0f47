import subprocess
import sys

import jax
import numpy as np
import pytest
import scipy.ndimage

from jsplit.data import Dataset
from jsplit.data.digits import load_digits_splits
from jsplit.data.distort import gaussian_blur, gaussian_noise
from jsplit.types import JsplitError

IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 11, 2)).astype(np.float32)


def test_digits_are_split_once_and_stratified():
    train, test = load_digits_splits()
    assert train.inputs.shape == (897, 8, 8, 1)
    assert test.inputs.shape == (900, 8, 8, 1)
    assert (train.split, test.split, test.name) == ("train", "test", "digits")
    assert test.inputs.min() == 0.0
    assert test.inputs.max() == 1.0
    counts = [np.bincount(data.labels, minlength=10) for data in (train, test)]
    assert np.abs(counts[0] - counts[1]).max() <= 2
    # 1,797 different images: none is in both halves.
    rows = np.concatenate([train.inputs, test.inputs]).reshape(1797, 64)
    assert len(np.unique(rows, axis=0)) == 1797


def test_digits_seed_decides_the_split():
    first, again, other = (load_digits_splits(seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert (first.labels != other.labels).any()


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.3, 9.0])
def test_blur_equals_scipy(sigma):
    """Sigma 9 reaches over several reflections of an image 8 pixels high."""
    expected = scipy.ndimage.gaussian_filter(
        IMAGES, (0, sigma, sigma, 0), mode="reflect", truncate=4.0
    )
    np.testing.assert_allclose(gaussian_blur(IMAGES, sigma), expected, atol=1e-5)


def test_blur_with_sigma_zero_changes_nothing():
    np.testing.assert_array_equal(gaussian_blur(IMAGES, 0.0), IMAGES)


def test_noise_has_the_mean_and_deviation_asked_for():
    grey = np.full((10, 100, 100, 1), 0.5, np.float32)
    noise = np.asarray(gaussian_noise(grey, 0.1, jax.random.key(0))) - grey
    # Standard errors: 0.1 / sqrt(1e5) = 3e-4 and 0.1 / sqrt(2e5) = 2e-4.
    assert abs(noise.mean()) < 1.5e-3
    assert noise.std() == pytest.approx(0.1, abs=1e-3)


def test_noise_is_seeded_and_clipped():
    first, again, other = (
        np.asarray(gaussian_noise(IMAGES, 1.0, jax.random.key(seed)))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.min() == 0.0
    assert first.max() == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_blur(IMAGES, -1.0), r"sigma must be .* >= 0, got -1.0"),
        (lambda: gaussian_blur(IMAGES[0], 1.0), r"images must have .* \(8, 11, 2\)"),
        (
            lambda: gaussian_noise(IMAGES, float("nan"), jax.random.key(0)),
            r"std must be a finite number >= 0, got nan",
        ),
        (lambda: load_digits_splits(-1), r"seed must be an integer from 0"),
        (
            lambda: Dataset(IMAGES, np.array([0, 1, 2]), "toy", "test", 2),
            r"labels must be from 0 to 1, got 2 at position 2",
        ),
        (
            lambda: Dataset(IMAGES, np.array([0, 1]), "toy", "test", 2),
            r"labels must have shape \(3,\), one per image, got \(2,\)",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(JsplitError, match=message):
        call()


def test_data_imports_neither_flax_nor_sklearn():
    code = (
        "import sys, jsplit.data, jsplit.data.digits, jsplit.data.distort\n"
        "assert not {'flax', 'sklearn', 'optax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
