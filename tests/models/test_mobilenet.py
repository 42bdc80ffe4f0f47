"""MobileNetV2: sizes, exits, batch norm, convolutions, files."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from thin_mobilenet import thin_mobilenet

from jsplit.models import MobileNetV2, load_model, save_model
from jsplit.models.networks.layers import BatchNorm, depthwise3x3, pointwise
from jsplit.models.networks.mobilenet import EXITS, divisible
from jsplit.recording import measure_layers
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

# (input, output, expansion, stride at the published strides) of the 17 inverted
# residuals at width 1, written out from the paper's table.
RESIDUALS = [
    (32, 16, 1, 1),
    (16, 24, 6, 2),
    (24, 24, 6, 1),
    (24, 32, 6, 2),
    (32, 32, 6, 1),
    (32, 32, 6, 1),
    (32, 64, 6, 2),
    (64, 64, 6, 1),
    (64, 64, 6, 1),
    (64, 64, 6, 1),
    (64, 96, 6, 1),
    (96, 96, 6, 1),
    (96, 96, 6, 1),
    (96, 160, 6, 2),
    (160, 160, 6, 1),
    (160, 160, 6, 1),
    (160, 320, 6, 1),
]
EXIT_CHANNELS = (24, 32, 64, 96, 160, 320)


@pytest.fixture(scope="module")
def model():
    return thin_mobilenet()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def run():
    return jax.jit(lambda model, x: model(x))


def abstract(**kwargs):
    return nnx.eval_shape(lambda: MobileNetV2(rngs=nnx.Rngs(0), **kwargs))


def num_params(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_parameter_count_of_the_published_network():
    """With 1000 classes the backbone has the 3,504,872 weights of torchvision's."""
    stem = 9 * 3 * 32 + 2 * 32
    last = 320 * 1280 + 2 * 1280
    blocks = 0
    for before, after, expansion, _ in RESIDUALS:
        hidden = before * expansion
        blocks += (before * hidden + 2 * hidden) if expansion > 1 else 0
        blocks += 9 * hidden + 2 * hidden
        blocks += hidden * after + 2 * after
    final = 1280 * 1000 + 1000
    assert stem + blocks + last + final == 3_504_872
    sides = sum(2 * c + c * 1000 + 1000 for c in EXIT_CHANNELS)
    assert num_params(abstract(num_classes=1000)) == 3_504_872 + sides


@pytest.mark.parametrize(
    ("stem", "sizes"),
    [("imagenet", (8, 4, 2, 2, 1, 1, 1)), ("cifar", (32, 16, 8, 8, 4, 4, 4))],
)
def test_exits_read_these_maps(stem, sizes):
    model = abstract(num_classes=10, stem=stem)
    assert [len(group.layers) for group in model.blocks] == [3, 3, 3, 3, 3, 3, 1]
    x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.uint8)
    shapes = []
    for block in model.blocks:
        x = nnx.eval_shape(lambda block, x: block(x), block, x)
        shapes.append(x.shape)
    expected = zip(sizes, (*EXIT_CHANNELS, 1280), strict=True)
    assert shapes == [(2, size, size, channels) for size, channels in expected]


def test_widths_are_multiples_of_8():
    # What torchvision gives for 0.35 and 1.4.
    assert [divisible(0.35 * c) for c in (32, 24, 96, 320)] == [16, 8, 32, 112]
    assert [divisible(1.4 * c) for c in (32, 16, 24, 1280)] == [48, 24, 32, 1792]


def test_head_and_tail_compose_at_every_split(model, images, run):
    full = run(model, images)
    assert full.shape == (3, 7, 3)
    assert full.dtype == jnp.float32

    @jax.jit
    def halves(model, x):
        return [
            model.tail(model.head(x, split), split)
            for split in range(1, model.num_exits)
        ]

    for split, logits in enumerate(halves(model, images), start=1):
        np.testing.assert_allclose(logits, full[:, split:], rtol=1e-5, atol=1e-5)


def test_logits_do_not_depend_on_the_batch(model, images, run):
    together = run(model, images)
    others = run(model, np.stack([images[0], images[0] // 2, images[0] // 3]))
    np.testing.assert_allclose(together[0], others[0], rtol=1e-5, atol=1e-5)
    assert np.abs(together[1] - others[1]).max() > 1e-3


def test_bytes_equal_floats_over_255(model, images, run):
    floats = np.float32(images) / np.float32(255)
    np.testing.assert_allclose(
        run(model, images), run(model, floats), rtol=1e-4, atol=1e-4
    )


def test_grey_images():
    model = abstract(num_classes=4, width=0.05, in_channels=1)
    x = jax.ShapeDtypeStruct((2, 28, 28, 1), jnp.float32)
    assert nnx.eval_shape(lambda m, x: m(x), model, x).shape == (2, 7, 4)


def test_flops_of_every_exit_prefix():
    """Within 2 % of two per multiply-add, two per norm and ReLU6, one per addition."""
    model = abstract(num_classes=10, stem="imagenet")
    measured = measure_layers(model, np.zeros((1, 64, 64, 3), np.uint8))
    size = 32
    stem = size**2 * 32 * (2 * 27 + 4) + 64**2 * 3 * 3
    features = [stem]
    for before, after, expansion, stride in RESIDUALS:
        hidden = before * expansion
        flops = size**2 * hidden * (2 * before + 4) if expansion > 1 else 0
        size //= stride
        flops += size**2 * hidden * (2 * 9 + 4)
        flops += size**2 * after * (2 * hidden + 2)
        flops += size**2 * after if stride == 1 and before == after else 0
        features.append(flops)
    features.append(size**2 * 1280 * (2 * 320 + 4))
    groups = itertools.pairwise((0, *EXITS))
    expected = [sum(features[start:end]) for start, end in groups]
    np.testing.assert_allclose(
        np.cumsum(measured["layer_flops"]), np.cumsum(expected), rtol=0.02
    )
    # The multiply-adds of the whole network are the 300 million the paper states for
    # 224 x 224, here at 64 x 64, without the classifier.
    macs = sum(measured["layer_flops"]) / 2 * (224 / 64) ** 2
    assert 0.95 * 300e6 < macs < 1.15 * 300e6


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(6, 6), (5, 7)])
def test_depthwise_equals_xla_with_its_gradients(stride, size):
    rng = np.random.default_rng(0)
    x = jnp.float32(rng.normal(size=(3, *size, 4)))
    kernel = jnp.float32(rng.normal(size=(3, 3, 4)))

    def xla(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel[:, :, None],
            (stride, stride),
            [(1, 1), (1, 1)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4,
        )

    expected, expected_vjp = jax.vjp(xla, x, kernel)
    ours, vjp = jax.vjp(lambda x, kernel: depthwise3x3(x, kernel, stride), x, kernel)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    grad = jnp.float32(rng.normal(size=expected.shape))
    for one, other in zip(vjp(grad), expected_vjp(grad), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("before", "after"), [(3, 5), (5, 3)])
def test_pointwise_gradients_are_those_of_a_matrix_product(before, after):
    rng = np.random.default_rng(0)
    x = jnp.float32(rng.normal(size=(2, 3, 3, before)))
    kernel = jnp.float32(rng.normal(size=(before, after)))
    expected, expected_vjp = jax.vjp(jnp.matmul, x, kernel)
    ours, vjp = jax.vjp(pointwise, x, kernel)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    grad = jnp.float32(rng.normal(size=expected.shape))
    for one, other in zip(vjp(grad), expected_vjp(grad), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_batch_norm_equals_that_of_flax():
    x = jnp.float32(np.random.default_rng(0).normal(1.0, 3.0, (6, 2, 2, 5)))
    ours = nnx.view(BatchNorm(5, rngs=nnx.Rngs(0)), use_running_average=False)
    theirs = nnx.BatchNorm(5, momentum=0.9, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    for mine, other in ((ours.mean, theirs.mean), (ours.var, theirs.var)):
        np.testing.assert_allclose(mine[...], other[...], rtol=1e-5)
    ours = nnx.view(ours, use_running_average=True)
    theirs = nnx.view(theirs, use_running_average=True)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.mean[...], theirs.mean[...], rtol=1e-5)


def test_bfloat16_is_summed_in_float32():
    x = jnp.bfloat16(np.random.default_rng(0).normal(20.0, 1.0, (64, 4, 4, 3)))
    norm = nnx.view(BatchNorm(3, rngs=nnx.Rngs(0)), use_running_average=False)
    y = norm(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float64(y).std(axis=(0, 1, 2)), 1, atol=0.01)
    np.testing.assert_allclose(norm.mean[...], 0.1 * np.float64(x).mean((0, 1, 2)))
    ones = jnp.ones((1000, 1, 1, 1), jnp.bfloat16)
    kernel = jnp.ones((3, 3, 1), jnp.bfloat16)
    _, vjp = jax.vjp(lambda x, kernel: depthwise3x3(x, kernel, 1), ones, kernel)
    assert vjp(ones)[1][1, 1, 0] == 1000  # adding up in bfloat16 ends at 256


def test_saved_network_comes_back_with_its_statistics(model, images, run, tmp_path):
    save_model(model, tmp_path)
    loaded, _ = load_model(tmp_path)
    np.testing.assert_array_equal(run(loaded, images), run(model, images))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 1}, r"num_classes must be an integer >= 2, got 1"),
        ({"width": 0}, r"width must be a number from 0.05 to 10, got 0"),
        ({"stem": "mnist"}, r"stem must be one of imagenet, cifar, got 'mnist'"),
        ({"in_channels": 0}, r"in_channels must be an integer >= 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be a number from 0 to 0.99, got 1.0"),
    ],
)
def test_refuses_bad_sizes(kwargs, message):
    with pytest.raises(JsplitError, match=message):
        MobileNetV2(**{"num_classes": 10, "rngs": nnx.Rngs(0), **kwargs})
