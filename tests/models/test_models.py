import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.models import CNN, MultiExit, make_model
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

WIDTHS = (4, 4, 8)


@pytest.fixture(scope="module")
def model():
    return CNN(10, widths=WIDTHS, rngs=nnx.Rngs(0))


run = jax.jit(lambda model, x: model(x))  # far fewer compilations than op by op
head = jax.jit(lambda model, x, split: model.head(x, split), static_argnums=2)
tail = jax.jit(lambda model, h, split: model.tail(h, split), static_argnums=2)


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(1), (5, 8, 8, 1))


def num_params(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_cnn_parameter_count(model):
    blocks = (9 * 1 * 4 + 2 * 4) + (9 * 4 * 4 + 2 * 4) + (9 * 4 * 8 + 2 * 8)
    heads = (4 * 10 + 10) + (4 * 10 + 10) + (8 * 10 + 10)
    assert num_params(model) == blocks + heads


def test_default_cnn_parameter_count_and_shape():
    model = nnx.eval_shape(lambda: CNN(10, rngs=nnx.Rngs(0)))
    blocks = 9 * (1 * 16 + 2 * 16 * 16 + 16 * 32 + 2 * 32 * 32)
    norms = 2 * (3 * 16 + 3 * 32)
    heads = 3 * (16 * 10 + 10) + 3 * (32 * 10 + 10)
    assert num_params(model) == blocks + norms + heads
    assert model.num_exits == 6


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_logits_have_shape_b_l_c(model, size):
    logits = jax.eval_shape(lambda x: model(x), jnp.zeros((2, *size, 1)))
    assert logits.shape == (2, 3, 10)


def test_wider_block_halves_the_map(model, images):
    shapes = [jax.eval_shape(lambda x, i=i: model.head(x, i), images) for i in (2, 3)]
    assert [h.shape for h in shapes] == [(5, 8, 8, 4), (5, 4, 4, 8)]


def test_conv_block_equals_xla_convolution(model, images):
    h = head(model, images, 2)
    block = model.blocks[2]
    kernel = block.linear.kernel[...].reshape(3, 3, 4, 8)
    expected = jax.lax.conv_general_dilated(
        h, kernel, (2, 2), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = run(block, h)
    np.testing.assert_allclose(
        found, nnx.relu(block.norm(expected)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("split", [1, 2])
def test_head_and_tail_compose_to_the_full_pass(model, images, split):
    found = tail(model, head(model, images, split), split)
    np.testing.assert_allclose(
        found, run(model, images)[:, split:], rtol=1e-5, atol=1e-5
    )


def test_device_exits_read_the_head(model, images):
    full = run(model, images)
    for split in (1, 2, 3):
        logits = run(model.heads[split - 1], head(model, images, split))
        np.testing.assert_allclose(logits, full[:, split - 1], rtol=1e-5, atol=1e-5)


def test_exit_unchanged_when_later_blocks_change(images):
    model = CNN(10, widths=WIDTHS, rngs=nnx.Rngs(0))
    before = np.asarray(run(model, images))
    kernel = model.blocks[1].linear.kernel
    kernel[...] = -kernel[...]
    after = np.asarray(run(model, images))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1:] - before[:, 1:]).max(axis=(0, 2)).min() > 1e-3


def test_logits_do_not_depend_on_the_batch(model, images):
    one_by_one = jnp.concatenate([run(model, image[None]) for image in images])
    np.testing.assert_allclose(run(model, images), one_by_one, rtol=1e-6, atol=1e-6)


def test_activation_may_be_a_tuple():
    class Masked(nnx.Module):
        def __call__(self, x):
            hidden, mask = x
            return hidden + mask, mask

    class First(nnx.Module):
        def __call__(self, x):
            return x[0]

    model = MultiExit([Masked(), Masked()], [First(), First()])
    x = (jnp.zeros((3, 2)), jnp.ones((3, 2)))
    np.testing.assert_array_equal(model(x)[0], [[1, 1], [2, 2]])
    np.testing.assert_array_equal(model.tail(model.head(x, 1), 1)[0], [[2, 2]])


@pytest.mark.parametrize("split", [0, 4, 1.0, True])
def test_head_refuses_a_split_out_of_range(model, images, split):
    with pytest.raises(JsplitError, match=r"split must be an integer from 1 to 3"):
        model.head(images, split)


def test_tail_refuses_the_last_split(model, images):
    with pytest.raises(JsplitError, match=r"split must be .* from 1 to 2, got 3"):
        model.tail(images, 3)


def test_lists_of_the_wrong_length_are_refused():
    rngs = nnx.Rngs(0)
    layers = [nnx.Linear(2, 2, rngs=rngs) for _ in range(2)]
    with pytest.raises(JsplitError, match=r"blocks must have at least 2 .* got 1"):
        MultiExit(layers[:1], layers[:1])
    with pytest.raises(JsplitError, match=r"heads must have .* \(2\), got 1"):
        MultiExit(layers, layers[:1])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 1}, r"num_classes must be an integer >= 2, got 1"),
        ({"in_channels": 0}, r"in_channels must be an integer >= 1, got 0"),
        ({"widths": (8,)}, r"widths must have at least 2 entries, got \[8\]"),
        ({"widths": (8, -1)}, r"each of widths must be an integer >= 1, got -1"),
    ],
)
def test_cnn_refuses_bad_sizes(kwargs, message):
    with pytest.raises(JsplitError, match=message):
        CNN(**{"num_classes": 10, "rngs": nnx.Rngs(0), **kwargs})


@pytest.mark.parametrize("bad", [3, 0.5, None, "8"])
@pytest.mark.parametrize("name", ["cnn", "mlp", "resnet", "sparse_mlp"])
def test_sizes_that_are_no_list_are_refused(name, bad):
    with pytest.raises(JsplitError, match="widths must be a list such as"):
        make_model(name, num_classes=3, widths=bad, rngs=nnx.Rngs(0))
    if name == "sparse_mlp" and bad is not None:
        for sizes in "out_degrees", "densities":
            with pytest.raises(JsplitError, match=f"{sizes} must be a list"):
                make_model(name, num_classes=3, **{sizes: bad}, rngs=nnx.Rngs(0))
