import colorsys
import functools
import io

import jax
import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
from PIL import Image

from jsplit.data import distort, jpeg
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

RNG = np.random.default_rng(0)
COLOUR = RNG.uniform(size=(3, 11, 20, 3)).astype(np.float32)
GREY = RNG.uniform(size=(2, 16, 8, 1)).astype(np.float32)
BYTES = RNG.integers(0, 256, (2, 9, 9, 3), np.uint8)
KEY = jax.random.key(0)
LEVELS = {
    "blur": 0.8,
    "noise": 20.0,
    "contrast": 0.4,
    "brightness": 0.2,
    "jpeg": 30.0,
}


def test_contrast_keeps_the_mean_and_scales_the_rest():
    mean = COLOUR.astype(np.float64).mean(axis=(1, 2), keepdims=True)
    for factor in (0.0, 0.4, 1.0, 3.0):
        expected = np.clip(mean + factor * (COLOUR - mean), 0, 1)
        np.testing.assert_allclose(
            distort.contrast(COLOUR, factor), expected, atol=1e-6
        )


@pytest.mark.parametrize("change", [-0.3, 0.0, 0.2])
def test_brightness_changes_the_value_of_hsv(change):
    images = COLOUR.copy()
    images[0, 0, 0] = 0.0  # black has no hue

    def brighten(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, pixel))
        return colorsys.hsv_to_rgb(hue, saturation, np.clip(value + change, 0, 1))

    expected = np.apply_along_axis(brighten, -1, images)
    np.testing.assert_allclose(distort.brightness(images, change), expected, atol=1e-6)


def jpeg_by_scipy(images, quality):
    """In float64 with scipy's transform; also how close a coefficient is to a tie."""
    channels = images.shape[-1]
    x = images.astype(np.float64) * 255
    if channels == 3:
        x = x @ jpeg.YCBCR.T
    x[..., 0] -= 128
    _, height, width, _ = x.shape
    x = np.pad(x, ((0, 0), (0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    nearest = np.inf
    for n, i, j, c in np.ndindex(len(x), x.shape[1] // 8, x.shape[2] // 8, x.shape[3]):
        block = np.s_[n, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8, c]
        table = jpeg.tables(quality)[..., c]
        steps = scipy.fft.dctn(x[block], norm="ortho") / table
        nearest = min(nearest, np.abs(np.abs(steps - np.floor(steps)) - 0.5).min())
        x[block] = scipy.fft.idctn(np.round(steps) * table, norm="ortho")
    x = x[:, :height, :width]
    x[..., 0] += 128
    if channels == 3:
        x = x @ np.linalg.inv(jpeg.YCBCR).T
    return np.clip(x / 255, 0, 1), nearest


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("images", [COLOUR, GREY], ids=["colour", "grey"])
def test_jpeg_equals_scipy(images, quality):
    expected, nearest = jpeg_by_scipy(images, quality)
    assert nearest > 2e-5  # or float32 may round the other way
    result = distort.jpeg_quantise(images, quality)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("quality", [10, 75])
def test_jpeg_is_that_of_a_real_codec_up_to_rounded_pixels(quality):
    image = (GREY[0, :, :, 0] * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=quality)
    decoded = np.asarray(Image.open(file), float)
    result = distort.jpeg_quantise(image[None, :, :, None], quality)
    # A codec rounds its pixels, and its integer transform may round a tie elsewhere.
    assert np.abs(np.asarray(result)[0, :, :, 0] * 255 - decoded).max() < 2.0


def test_best_jpeg_quality_loses_almost_nothing():
    result = distort.jpeg_quantise(COLOUR, 100)
    # Steps of 1 in an orthonormal transform: an error of 1 / sqrt(12) per number.
    error = np.asarray(result - COLOUR) * 255
    assert 0.1 < error.std() < 1.0


@pytest.mark.parametrize("name", distort.DISTORTIONS)
def test_bytes_give_what_their_fractions_give(name):
    fractions = BYTES.astype(np.float32) / 255
    first, second = (
        distort.distort(images, name, LEVELS[name], KEY)
        for images in (BYTES, fractions)
    )
    assert first.dtype == np.float32
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(np.asarray(first) - fractions).max() > 1e-3


@pytest.mark.parametrize("name", distort.DISTORTIONS)
def test_distortions_go_through_jit_and_vmap(name):
    call = functools.partial(distort.distort, name=name, level=LEVELS[name], key=KEY)
    stacked = np.stack([COLOUR, COLOUR[::-1]])
    mapped = jax.jit(jax.vmap(call))(stacked)
    for one, images in zip(mapped, stacked, strict=True):
        np.testing.assert_allclose(one, call(images), atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda level: distort.contrast(COLOUR, level),
        lambda level: distort.brightness(COLOUR, level),
        lambda level: distort.gaussian_noise(COLOUR, level, KEY),
    ],
    ids=["contrast", "brightness", "noise"],
)
def test_levels_can_be_mapped_over(call):
    mapped = jax.vmap(call)(np.array([0.1, 0.5], np.float32))
    np.testing.assert_allclose(mapped, [call(0.1), call(0.5)], atol=1e-6)


def test_noise_is_in_units_of_bytes():
    grey = np.full((10, 50, 50, 1), 0.5, np.float32)
    noise = np.asarray(distort.distort(grey, "noise", 20, KEY)) - 0.5
    # Standard error 20 / sqrt(2 * 25,000) = 0.09.
    assert noise.std() * 255 == pytest.approx(20, abs=0.45)


def test_blur_equals_scipy_at_the_published_levels():
    for sigma in distort.ISPLITEE_BLUR:
        expected = scipy.ndimage.gaussian_filter(COLOUR, (0, sigma, sigma, 0))
        result = distort.distort(COLOUR, "blur", sigma, KEY)
        np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("blur=0.8", ("blur", 0.8)), ("noise = 5", ("noise", 5.0))],
)
def test_distortion_is_read_from_text(text, expected):
    assert distort.parse_distortion(text) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distort.parse_distortion("blur"), r"NAME=LEVEL, got 'blur'; .* jpeg"),
        (
            lambda: distort.parse_distortion("blurr=1"),
            r"one of blur, noise, contrast, .* got 'blurr'; did you mean",
        ),
        (
            lambda: distort.parse_distortion("jpeg=low"),
            r"level of jpeg \(quality\) must be an integer from 1 to 100, got 'low'",
        ),
        (
            lambda: distort.parse_distortion("brightness=nan"),
            r"level of brightness .* must be a number from -1 to 1, got 'nan'",
        ),
        (
            lambda: distort.distort(COLOUR, "fog", 1.0, KEY),
            r"distortion must be one of .* got 'fog'",
        ),
        (
            lambda: distort.distort(COLOUR, "jpeg", 0.5, KEY),
            r"level of jpeg \(quality\) must be an integer from 1 to 100, got 0.5",
        ),
        (lambda: distort.jpeg_quantise(COLOUR[..., :2], 50), r"1 or 3 channels, got 2"),
        (lambda: distort.contrast(COLOUR, -1), r"factor must be .* >= 0, got -1"),
        (lambda: distort.brightness(COLOUR, 2), r"change must be .* -1 to 1, got 2"),
        (
            lambda: distort.distort(COLOUR, "noise", -1.0, KEY),
            r"level of noise \(standard .*\) must be a finite number >= 0, got -1.0",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(JsplitError, match=message):
        call()
