"""Layers that store and compute only the weights of a pattern fixed before training.

Here: compact kernels, and the dense and the convolution layer made of them. Not here:
which weights exist (`patterns`), networks (`networks.sparse_mlp`), counting bytes
(`storage`).

A kernel keeps its values as `nnx.Param` and what it stores of the pattern as `Indices`,
which no optimizer touches:

    kind                          values            indices
    structured, clash_free_1, _2  [n_out, d_in, T]  left neurons [n_out, d_in]
    clash_free_3                  [n_out, d_in, T]  start addresses [z]
    random                        [|W|, T]          left and right neurons, 2 x [|W|]

T is 1 in a dense layer and the positions of the window in a convolution.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.sparse import patterns
from jsplit.models.sparse.patterns import Junction, Pattern
from jsplit.types import JsplitError

BIAS = 0.1  # at the start, as in arXiv 2407.11763
COMPACT_ROWS = 16
"""Up to here gathering beats a dense product on a CPU (800 x 100 at 20 %: 0.17 against
0.27 ms for 8 rows, 0.6 against 0.26 ms for 32)."""


class Indices(nnx.Variable):
    """Integers that say which weights a layer has; fixed, and saved with the model."""


def he_normal(key: Array, shape: Sequence[int], fan_in: np.ndarray | int) -> Array:
    """Draws weights of standard deviation sqrt(2 / fan_in), cut at two of them.

    Args:
        key: typed key, consumed.
        shape: of the weights.
        fan_in: edges of the neuron each weight feeds, broadcast against `shape`.

    Returns:
        float32 weights.

    References: He et al., arXiv 1502.01852; truncated as in Keras.
    """
    # The standard deviation of a standard normal cut at -2 and 2.
    cut = jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32) / 0.87962566
    return cut * jnp.sqrt(jnp.asarray(2.0 / np.maximum(fan_in, 1), jnp.float32))


class IndexedKernel(nnx.Module):
    """Fixed in-degree, one stored index per edge."""

    def __init__(
        self,
        junction: Junction,
        source: np.ndarray,
        taps: int,
        *,
        form: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the left neurons [n_out, d_in] of each right one."""
        self.num_inputs, self.form = junction.num_inputs, form
        shape = (junction.num_outputs, junction.in_degree, taps)
        fan_in = junction.in_degree * taps
        self.values = nnx.Param(he_normal(rngs.params(), shape, fan_in))
        self.source = Indices(_smallest(source, junction.num_inputs))

    def __call__(self, x: Array) -> Array:
        """Maps [P, n_in, T] to [P, n_out]."""
        values, source = self.values[...], self.source[...]
        if self.form == "compact" or len(x) <= COMPACT_ROWS:
            read = _read(x, source)
            return jnp.einsum("pokt,okt->po", read, values)
        num_outputs, _, taps = values.shape
        dense = jnp.zeros((num_outputs, self.num_inputs, taps), values.dtype)
        rows = jnp.arange(num_outputs)[:, None]
        dense = dense.at[rows, source].set(
            values, mode="promise_in_bounds", unique_indices=True
        )
        return jnp.einsum("pit,oit->po", x, dense)


class CyclicKernel(nnx.Module):
    """Clash-free type 3: the pattern is a formula of one start address per memory.

    Rotating memory m by its start address puts the left neurons in the order in which
    every sweep reads them. Right neurons then read windows of d_in neighbours, cyclic,
    so the layer is one batched matrix product, without an index per edge. Where d_in
    does not divide n_in, windows overlap and are copied: d_in / gcd(n_in, d_in) copies
    of every input, which costs time and memory in large batches.
    """

    def __init__(
        self, junction: Junction, starts: np.ndarray, taps: int, *, rngs: nnx.Rngs
    ) -> None:
        """Takes the start addresses [z]."""
        self.depth = junction.num_inputs // len(starts)
        shape = (junction.num_outputs, junction.in_degree, taps)
        fan_in = junction.in_degree * taps
        self.values = nnx.Param(he_normal(rngs.params(), shape, fan_in))
        self.starts = Indices(_smallest(starts, self.depth))

    def __call__(self, x: Array) -> Array:
        """Maps [P, n_in, T] to [P, n_out]."""
        values = self.values[...]
        _, in_degree, taps = values.shape
        num_inputs = x.shape[1]
        # [P, 2 D, z, T]: a rotation by phi is a slice of the memory written twice.
        memories = x.reshape(len(x), self.depth, -1, taps)
        twice = jnp.concatenate([memories, memories], axis=1)
        rotate = jax.vmap(
            lambda memory, start: jax.lax.dynamic_slice_in_dim(
                memory, start, self.depth, axis=1, allow_negative_indices=False
            ),
            in_axes=(2, 0),
            out_axes=2,
        )
        order = rotate(twice, self.starts[...]).reshape(len(x), num_inputs, taps)
        # After lcm(n_in, d_in) edges the windows repeat.
        num_windows = math.lcm(num_inputs, in_degree) // in_degree
        repeats = num_windows * in_degree // num_inputs
        windows = jnp.tile(order, (1, repeats, 1))
        windows = windows.reshape(len(x), num_windows, in_degree, taps)
        blocks = values.reshape(-1, num_windows, in_degree, taps)
        return jnp.einsum("pqkt,sqkt->psq", windows, blocks).reshape(len(x), -1)


class EdgeKernel(nnx.Module):
    """Free degrees: both ends of every edge are stored."""

    def __init__(
        self,
        junction: Junction,
        edges: tuple[np.ndarray, np.ndarray],
        taps: int,
        *,
        form: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the right neurons [|W|], ascending, and the left ones [|W|]."""
        target, source = edges
        self.num_inputs, self.num_outputs = junction.num_inputs, junction.num_outputs
        self.form = form
        fan_in = taps * np.bincount(target, minlength=self.num_outputs)[target]
        shape = (len(target), taps)
        self.values = nnx.Param(he_normal(rngs.params(), shape, fan_in[:, None]))
        self.target = Indices(_smallest(target, self.num_outputs))
        self.source = Indices(_smallest(source, self.num_inputs))

    def __call__(self, x: Array) -> Array:
        """Maps [P, n_in, T] to [P, n_out]."""
        values, target, source = self.values[...], self.target[...], self.source[...]
        if self.form == "compact" or len(x) <= COMPACT_ROWS:
            read = _read(x, source)
            y = jnp.zeros((len(x), self.num_outputs), values.dtype)
            return y.at[:, target].add(
                jnp.einsum("pet,et->pe", read, values),
                mode="promise_in_bounds",
                indices_are_sorted=True,
            )
        shape = (self.num_outputs, self.num_inputs, values.shape[-1])
        dense = jnp.zeros(shape, values.dtype)
        dense = dense.at[target, source].set(
            values, mode="promise_in_bounds", unique_indices=True
        )
        return jnp.einsum("pit,oit->po", x, dense)


Kernel = IndexedKernel | CyclicKernel | EdgeKernel


def make_kernel(
    num_inputs: int,
    num_outputs: int,
    pattern: Pattern,
    *,
    taps: int = 1,
    rngs: nnx.Rngs,
) -> Kernel:
    """Draws a pattern and returns the kernel that computes with it.

    Args:
        num_inputs: n_in >= 1.
        num_outputs: n_out >= 1.
        pattern: which weights exist.
        taps: T >= 1.
        rngs: source of the initial weights.

    Raises:
        JsplitError: if the pattern does not fit the sizes.
    """
    junction = pattern.junction(num_inputs, num_outputs)
    kind, seed, form = pattern.kind, pattern.seed, pattern.form
    if kind == "random":
        edges = patterns.random_edges(
            num_inputs, num_outputs, junction.num_weights, seed
        )
        return EdgeKernel(junction, edges, taps, form=form, rngs=rngs)
    if kind == "clash_free_3":
        num_memories = patterns.num_memories_for(junction, pattern.num_memories)
        starts = patterns.start_addresses(junction, num_memories, seed, fresh=False)
        return CyclicKernel(junction, starts[0], taps, rngs=rngs)
    if kind == "structured":
        source = patterns.structured(junction, seed)
    else:
        source = patterns.clash_free(
            junction, int(kind[-1]), seed, pattern.num_memories
        )
    return IndexedKernel(junction, source, taps, form=form, rngs=rngs)


class SparseLinear(nnx.Module):
    """y[b, o] = bias[o] + sum of w[o, k] x[b, left neuron k of o] over o's edges.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import Pattern, SparseLinear
        >>> layer = SparseLinear(800, 40, Pattern(out_degree=2), rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((5, 800))).shape, layer.kernel.values.shape
        ((5, 40), (40, 40, 1))
        >>> layer.kernel.source.dtype
        dtype('uint16')
    """

    def __init__(
        self, in_features: int, out_features: int, pattern: Pattern, *, rngs: nnx.Rngs
    ) -> None:
        """Builds the layer with random weights.

        Args:
            in_features: n_in >= 1.
            out_features: n_out >= 1.
            pattern: which weights exist.
            rngs: source of the initial weights.

        Raises:
            JsplitError: if the pattern does not fit the sizes.
        """
        self.kernel = make_kernel(in_features, out_features, pattern, rngs=rngs)
        self.bias = nnx.Param(jnp.full(out_features, BIAS, jnp.float32))

    def __call__(self, x: Array) -> Array:
        """Maps [B, n_in] to [B, n_out]."""
        bias = self.bias[...]
        return self.kernel(x[..., None].astype(bias.dtype)) + bias


class SparseConv(nnx.Module):
    """Convolution over pairs of channels: each pair of the pattern has a k x k kernel.

    Borders are padded with zeros, so the output has ceil(H / stride) rows.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import Pattern, SparseConv
        >>> pattern = Pattern("clash_free_3", density=0.25)
        >>> layer = SparseConv(16, 32, pattern, rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((2, 9, 9, 16))).shape, layer.kernel.values.shape
        ((2, 9, 9, 32), (32, 4, 9))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pattern: Pattern,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the layer with random weights.

        Args:
            in_channels: n_in >= 1.
            out_channels: n_out >= 1.
            pattern: which pairs of an input and an output channel have weights. On
                images only clash-free type 3 saves operations and time: the other
                kinds are computed densely unless `form` is "compact".
            kernel_size: k, odd.
            stride: >= 1.
            rngs: source of the initial weights.

        Raises:
            JsplitError: if an argument is out of range, or the pattern does not fit.
        """
        self.kernel_size = checks.integer("kernel_size", kernel_size, 1)
        if kernel_size % 2 == 0:
            raise JsplitError(f"kernel_size must be odd, got {kernel_size}")
        self.stride = checks.integer("stride", stride, 1)
        self.kernel = make_kernel(
            in_channels, out_channels, pattern, taps=kernel_size**2, rngs=rngs
        )
        self.bias = nnx.Param(jnp.full(out_channels, BIAS, jnp.float32))

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, n_in] to [B, ceil(H / stride), ceil(W / stride), n_out]."""
        size, stride, bias = self.kernel_size, self.stride, self.bias[...]
        height, width = x.shape[1:3]
        edge = (size // 2, size // 2)
        x = jnp.pad(x.astype(bias.dtype), ((0, 0), edge, edge, (0, 0)))
        taps = jnp.stack(
            [
                x[:, i : i + height : stride, j : j + width : stride]
                for i in range(size)
                for j in range(size)
            ],
            axis=-1,
        )
        y = self.kernel(taps.reshape(-1, *taps.shape[-2:])) + bias
        return y.reshape(*taps.shape[:3], -1)


def _read(x: Array, source: Array) -> Array:
    """Returns x[:, source], [P, *source.shape, T], with the indices as they are.

    Indexing would first convert them to int32, one operation per edge.
    """
    return jax.lax.gather(
        x,
        source[..., None],
        jax.lax.GatherDimensionNumbers(
            offset_dims=(0, 1 + source.ndim),
            collapsed_slice_dims=(1,),
            start_index_map=(1,),
        ),
        slice_sizes=(len(x), 1, x.shape[2]),
        mode="promise_in_bounds",
    )


def _smallest(numbers: np.ndarray, bound: int) -> np.ndarray:
    """Returns integers 0..bound - 1 in the smallest unsigned type that holds them."""
    return numbers.astype(np.min_scalar_type(max(bound - 1, 0)))
