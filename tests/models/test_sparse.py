import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jsplit.models import (
    Pattern,
    SparseConv,
    SparseLinear,
    SparseMLP,
    load_model,
    save_model,
)
from jsplit.models.sparse.layers import Indices
from jsplit.models.sparse.patterns import KINDS
from jsplit.models.sparse.storage import halves, storage_bytes
from jsplit.recording import measure_layers
from jsplit.training import train
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 5, 1), np.uint8)


def dense_kernel(kernel, num_inputs, num_outputs):
    """[n_out, n_in, T], written edge by edge from what a kernel stores."""
    values = np.asarray(kernel.values[...])
    matrix = np.zeros((num_outputs, num_inputs, values.shape[-1]), np.float32)
    if hasattr(kernel, "target"):
        edges = zip(kernel.target[...], kernel.source[...], values, strict=True)
        for target, source, value in edges:
            matrix[target, source] = value
        return matrix
    if hasattr(kernel, "starts"):
        starts, depth = np.asarray(kernel.starts[...]), kernel.depth
        sweep = [
            (int(start) + cycle) % depth * len(starts) + memory
            for cycle in range(depth)
            for memory, start in enumerate(starts)
        ]
        source = np.resize(sweep, values.shape[:2])
    else:
        source = np.asarray(kernel.source[...])
    for target in range(num_outputs):
        for edge, left in enumerate(source[target]):
            matrix[target, left] = values[target, edge]
    return matrix


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(12, 8, 2), (10, 10, 3)])
def test_linear_equals_the_dense_product(kind, sizes):
    """Few rows and many, so both ways of computing; d_in divides n_in or not."""
    n_in, n_out, out_degree = sizes
    patterns = (
        Pattern(kind, out_degree=out_degree, seed=3, form=form)
        for form in ("fast", "compact")
    )
    fast, compact = (
        SparseLinear(n_in, n_out, pattern, rngs=nnx.Rngs(0)) for pattern in patterns
    )
    matrix = dense_kernel(fast.kernel, n_in, n_out)[..., 0]
    assert np.count_nonzero(matrix) == n_in * out_degree
    for num_rows in (1, 40):
        x = np.random.default_rng(1).normal(size=(num_rows, n_in)).astype(np.float32)
        expected = x @ matrix.T + 0.1
        np.testing.assert_allclose(fast(x), expected, atol=1e-5)
        np.testing.assert_allclose(compact(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("structured", "fast"),
        ("structured", "compact"),
        ("random", "fast"),
        ("clash_free_3", "fast"),
    ],
)
def test_conv_equals_the_dense_convolution(kind, form):
    pattern = Pattern(kind, density=0.5, form=form)
    layer = SparseConv(6, 4, pattern, stride=2, rngs=nnx.Rngs(0))
    x = np.random.default_rng(1).normal(size=(2, 7, 5, 6)).astype(np.float32)
    kernel = dense_kernel(layer.kernel, 6, 4).reshape(4, 6, 3, 3)
    expected = jax.lax.conv_general_dilated(
        x,
        kernel.transpose(2, 3, 1, 0),
        (2, 2),
        [(1, 1), (1, 1)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(layer(x), expected + 0.1, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_pattern_depends_on_its_own_seed_alone(kind):
    def pattern(rng_seed, pattern_seed):
        pattern = Pattern(kind, out_degree=4, seed=pattern_seed)
        layer = SparseLinear(30, 20, pattern, rngs=nnx.Rngs(rng_seed))
        return [np.asarray(x) for x in jax.tree.leaves(nnx.state(layer, Indices))]

    first = pattern(0, 0)
    assert all(map(np.array_equal, first, pattern(7, 0)))
    assert not all(map(np.array_equal, first, pattern(0, 1)))
    assert {x.dtype for x in first} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("kind", ["structured", "random"])
def test_initial_weights_are_he_normal_with_the_fan_in_of_the_pattern(kind):
    """Standard error of a standard deviation over 8,000 weights: below 1 %."""
    layer = SparseLinear(400, 200, Pattern(kind, out_degree=20), rngs=nnx.Rngs(0))
    values = np.asarray(layer.kernel.values[...])[..., 0]
    if kind == "structured":
        fan_in = 40
    else:
        target = np.asarray(layer.kernel.target[...])
        fan_in = np.bincount(target)[target]
    unit = values * np.sqrt(fan_in / 2)
    assert unit.std() == pytest.approx(1.0, abs=0.03)
    # Cut at two standard deviations of the normal before it was rescaled.
    assert np.abs(unit).max() == pytest.approx(2 / 0.87962566, rel=0.01)
    assert (layer.bias[...] == np.float32(0.1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_operations_are_those_of_the_stored_weights(kind):
    layer = SparseLinear(80, 40, Pattern(kind, out_degree=4), rngs=nnx.Rngs(0))
    call = jax.jit(lambda layer, x: layer(x))
    flops = call.lower(layer, jnp.zeros((1, 80))).cost_analysis()["flops"]
    extra = flops - 2 * 80 * 4
    # Biases; free degrees need one more addition and index per edge.
    assert 40 <= extra <= 60 + (2 * 80 * 4 if kind == "random" else 0)


def test_patterns_are_values():
    """Equal ones draw the same weights; a field more makes another."""
    assert Pattern("random", density=0.5) == Pattern("random", density=0.5)
    assert len({Pattern(), Pattern(), Pattern(seed=1), Pattern(form="compact")}) == 3
    with pytest.raises(AttributeError):
        Pattern().seed = 1  # type: ignore[misc]


def weights(modules):
    return sum(
        leaf.size
        for module in modules
        for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))
    )


@pytest.mark.parametrize(
    ("widths", "degrees", "number"),
    [((3, 3), None, 2_439), ((40, 40), None, 34_000), ((40, 40), (2, 9, 10), 2_360)],
)
def test_released_networks_have_the_published_number_of_weights(
    widths, degrees, number
):
    model = nnx.eval_shape(
        lambda: SparseMLP(10, widths=widths, out_degrees=degrees, rngs=nnx.Rngs(0))
    )
    biases = sum(widths) + 10
    assert weights([*model.blocks, model.heads[-1]]) == number + biases


@pytest.fixture(scope="module")
def model():
    return SparseMLP(
        3,
        num_features=24,
        widths=(12, 12),
        densities=(0.25, 0.5, 2 / 3),
        pattern_seed=5,
        rngs=nnx.Rngs(0),
    )


def test_images_become_rows_padded_with_zeros(model):
    rows = np.pad(IMAGES.reshape(20, 20) / 255, ((0, 0), (0, 4))).astype(np.float32)
    np.testing.assert_allclose(model(jnp.asarray(IMAGES)), model(rows), atol=1e-5)
    assert model(IMAGES).shape == (20, 2, 3)
    with pytest.raises(JsplitError, match=r"num_features must be at least the 25"):
        model(np.zeros((1, 5, 5, 1), np.float32))


def test_head_and_tail_compose_to_the_full_pass(model):
    h = model.head(IMAGES, 1)
    assert h.shape == (20, 12)
    np.testing.assert_allclose(model.tail(h, 1), model(IMAGES)[:, 1:], atol=1e-5)


def test_training_changes_weights_and_keeps_the_pattern(model):
    model = nnx.clone(model)
    before = nnx.state(model, Indices)
    kernel = model.blocks[1].layer.kernel
    matrix = dense_kernel(kernel, 12, 12)
    train(model, IMAGES, np.arange(20) % 3, num_epochs=2, progress=False)
    after = nnx.state(model, Indices)
    jax.tree.map(np.testing.assert_array_equal, before, after)
    trained = dense_kernel(kernel, 12, 12)
    np.testing.assert_array_equal(trained != 0, matrix != 0)
    assert (trained[matrix != 0] != matrix[matrix != 0]).all()


def test_model_comes_back_from_disk_with_its_pattern(model, tmp_path):
    loaded, _ = load_model(save_model(model, tmp_path))
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    assert loaded.blocks[0].layer.kernel.source.dtype == np.uint8


def test_bytes_are_counted_by_hand(model):
    """24 x 12 at 1/4, 12 x 12 at 1/2, exits 12 x 3 at 2/3; indices take a byte."""
    assert storage_bytes(model) == {
        "layer_value_bytes": [4 * (72 + 12), 4 * (72 + 12)],
        "layer_index_bytes": [72, 72],
        "head_value_bytes": [4 * (24 + 3)] * 2,
        "head_index_bytes": [24] * 2,
    }


def test_formula_stores_one_start_address_per_memory():
    pattern = Pattern("clash_free_3", in_degree=16)
    layer = SparseLinear(80, 40, pattern, rngs=nnx.Rngs(0))
    (starts,) = jax.tree.leaves(nnx.state(layer, Indices))
    assert starts.shape == (16,)
    assert starts.dtype == np.uint8


def test_one_memory_lets_every_neuron_read_neighbours():
    model = SparseMLP(
        3,
        num_features=24,
        widths=(24, 12),
        out_degrees=(10, 6, 3),
        kind="clash_free_3",
        num_memories=(1, 4),
        rngs=nnx.Rngs(0),
    )
    edges = dense_kernel(model.blocks[0].layer.kernel, 24, 24)[:, :, 0] != 0
    first = [int(np.flatnonzero(row & ~np.roll(row, 1))[0]) for row in edges]
    bands = (np.subtract.outer(np.arange(24), first).T % 24) < 10
    np.testing.assert_array_equal(edges, bands)
    assert len(set(first)) == 12  # 24 / gcd(24, 10)
    assert len(model.blocks[1].layer.kernel.starts) == 4


def test_quarter_density_quarters_storage_and_operations_of_both_halves():
    """At 1/8 with indices of one byte: 8 / 1.25 = 6.4 times less, biases apart."""
    dense, sparse = (
        SparseMLP(10, num_features=80, widths=(80, 80), densities=d, rngs=nnx.Rngs(0))
        for d in (None, (0.1, 0.1, 0.2))
    )
    image = np.zeros((1, 80), np.float32)
    for count, parts in (
        (storage_bytes, ("{}_value_bytes", "{}_index_bytes")),
        (lambda model: measure_layers(model, image), ("{}_flops",)),
    ):
        totals = []
        for model in (dense, sparse):
            counted = count(model)
            layer, head = (
                np.sum([counted[part.format(name)] for part in parts], axis=0)
                for name in ("layer", "head")
            )
            totals.append(np.concatenate(halves(layer, head)))
        assert (totals[0] >= 4 * totals[1]).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"widths": (8,)}, r"widths must have at least 2 entries, got \[8\]"),
        ({"out_degrees": (2, 9)}, r"out_degrees must have 3 entries, .* got \(2, 9\)"),
        ({"out_degrees": (2, 9, 3), "densities": (1, 1, 1)}, r"give one of .* both"),
        ({"densities": (0.1, 0.1, 0.25)}, r"junction 40 x 10 must be k / 10, got 0.25"),
        ({"kind": "clash_free", "out_degrees": (2, 9, 10)}, r"kind must be one of"),
        (
            {"num_memories": (1, 2, 3)},
            r"num_memories must have 2 entries, .* \(1, 2",
        ),
        ({"num_memories": (0, 1)}, r"each of num_memories must be an integer >= 1"),
        ({"pattern_seed": -1}, r"pattern_seed must be an integer >= 0, got -1"),
    ],
)
def test_mlp_refuses_bad_arguments(kwargs, message):
    with pytest.raises(JsplitError, match=message):
        SparseMLP(10, rngs=nnx.Rngs(0), **kwargs)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda rngs: Pattern(density=0.5, num_memories=2),
            r"num_memories is for clash-free kinds, got kind 'structured'",
        ),
        (
            lambda rngs: Pattern(density=0.5, form="slow"),
            r"form must be one of fast, compact, got 'slow'",
        ),
        (
            lambda rngs: SparseConv(8, 4, Pattern(), kernel_size=2, rngs=rngs),
            r"kernel_size must be odd, got 2",
        ),
        (
            lambda rngs: SparseLinear(8, 4, Pattern(density=0.3), rngs=rngs),
            r"density of a junction 8 x 4 must be k / 4, got 0.3",
        ),
        (lambda rngs: Pattern(seed=-1), r"seed must be an integer >= 0, got -1"),
        (
            lambda rngs: Pattern(in_degree=2, density=0.5),
            r"give one of in_degree, out_degree and density, got in_degree, density",
        ),
    ],
)
def test_layers_refuse_bad_arguments(build, message):
    with pytest.raises(JsplitError, match=message):
        build(nnx.Rngs(0))
