"""BERT's encoder with an exit after every layer, as ElasticBERT has them.

Here: embeddings, encoder layers, exits and the network. Not here: words to token ids
(`jsplit.data`), weights that others have trained (`weights.bert`), the exits as such
(`multi_exit`).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.models.multi_exit import MultiExit
from jsplit.types import JsplitError

EPSILON = 1e-12  # of every layer norm
SCALE = 0.02  # standard deviation of initial weights, before truncation at two of it


def linear(
    in_features: int, out_features: int, *, dtype: str, rngs: nnx.Rngs
) -> nnx.Linear:
    """Returns a dense layer as BERT initialises it: truncated normal, no bias."""
    return nnx.Linear(
        in_features,
        out_features,
        dtype=jnp.dtype(dtype),
        kernel_init=nnx.initializers.truncated_normal(SCALE),
        rngs=rngs,
    )


def layer_norm(features: int, *, dtype: str, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Returns a layer norm over the last axis; its statistics are in float32."""
    return nnx.LayerNorm(features, epsilon=EPSILON, dtype=jnp.dtype(dtype), rngs=rngs)


def gelu(x: Array) -> Array:
    """Returns x Phi(x), with the error function and not its tanh approximation.

    `jax.nn.gelu` takes erfc, which keeps tiny values exact far below zero at a higher
    price; here their absolute error is below 1e-7 too.
    """
    return x * (0.5 * (1.0 + jax.lax.erf(x * math.sqrt(0.5))))


class Embeddings(nnx.Module):
    """Sum of word, position and segment embeddings, then layer norm and dropout."""

    def __init__(
        self,
        vocab_size: int,
        hidden: int,
        *,
        max_length: int,
        num_segments: int,
        dropout: float,
        dtype: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the sizes of the three tables, all of width `hidden`."""

        def table(rows: int) -> nnx.Embed:
            return nnx.Embed(
                rows,
                hidden,
                embedding_init=nnx.initializers.truncated_normal(SCALE),
                rngs=rngs,
            )

        self.words = table(vocab_size)
        self.positions = table(max_length)
        self.segments = table(num_segments)
        self.norm = layer_norm(hidden, dtype=dtype, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, deterministic=True, rngs=rngs)

    def __call__(self, tokens: Array) -> tuple[Array, Array]:
        """Maps token and segment ids [B, 2, S] to hidden [B, S, hidden], mask [B, S].

        Raises:
            JsplitError: if `tokens` has another shape or dtype, or if S > max_length.
        """
        max_length = self.positions.num_embeddings
        good = tokens.ndim == 3 and tokens.shape[1] == 2
        if not good or not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise JsplitError(
                "texts must be integers [B, 2, S], token ids over segment ids, "
                f"got {tokens.dtype} {list(tokens.shape)}"
            )
        length = tokens.shape[2]
        if length > max_length:
            raise JsplitError(
                f"texts must have at most max_length = {max_length} tokens, "
                f"got {length}"
            )
        ids, segments = tokens[:, 0], tokens[:, 1]
        hidden = self.words(ids) + self.segments(segments)
        hidden = self.norm(hidden + self.positions.embedding[:length])
        return self.dropout(hidden), ids != 0


class SelfAttention(nnx.Module):
    """Every token looks at every token that is not padding, in several heads."""

    def __init__(
        self,
        hidden: int,
        num_heads: int,
        *,
        dropout: float,
        dtype: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the width and the number of heads, a divisor of it."""
        self.num_heads = num_heads
        # Query, key and value in one product: three times as wide, one read of x.
        self.qkv = linear(hidden, 3 * hidden, dtype=dtype, rngs=rngs)
        self.out = linear(hidden, hidden, dtype=dtype, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, deterministic=True, rngs=rngs)

    def __call__(self, x: Array, mask: Array) -> Array:
        """Maps x [B, S, hidden] and mask [B, S] to [B, S, hidden]."""
        batch, length, hidden = x.shape
        width = hidden // self.num_heads
        parts = self.qkv(x).reshape(batch, length, 3, self.num_heads, width)
        # Batch and head in front: XLA's CPU products want them there, and one
        # transposition is cheaper than those it would insert around each product.
        query, key, value = parts.transpose(2, 0, 3, 1, 4)
        scores = jnp.einsum("bhqd,bhkd->bhqk", query, key).astype(jnp.float32)
        # A finite number, so that a text of padding alone gives no NaN.
        bias = jnp.where(mask, 0.0, jnp.finfo(jnp.float32).min)
        scores = scores * (1.0 / math.sqrt(width)) + bias[:, None, None, :]
        weights = self.dropout(jax.nn.softmax(scores)).astype(value.dtype)
        mixed = jnp.einsum("bhqk,bhkd->bhqd", weights, value)
        return self.out(mixed.transpose(0, 2, 1, 3).reshape(x.shape))


class Layer(nnx.Module):
    """Attention and two dense layers, each added to its input and then normed."""

    def __init__(
        self,
        hidden: int,
        num_heads: int,
        intermediate: int,
        *,
        dropout: float,
        dtype: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the width, the heads and the width between the dense layers."""
        self.attention = SelfAttention(
            hidden, num_heads, dropout=dropout, dtype=dtype, rngs=rngs
        )
        self.attention_norm = layer_norm(hidden, dtype=dtype, rngs=rngs)
        self.widen = linear(hidden, intermediate, dtype=dtype, rngs=rngs)
        self.narrow = linear(intermediate, hidden, dtype=dtype, rngs=rngs)
        self.norm = layer_norm(hidden, dtype=dtype, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, deterministic=True, rngs=rngs)

    def __call__(self, x: tuple[Array, Array]) -> tuple[Array, Array]:
        """Maps (hidden [B, S, hidden], mask [B, S]) to the same."""
        hidden, mask = x
        attended = self.dropout(self.attention(hidden, mask))
        hidden = self.attention_norm(hidden + attended)
        thought = self.dropout(self.narrow(gelu(self.widen(hidden))))
        return self.norm(hidden + thought), mask


class FirstLayer(nnx.Module):
    """Embeddings and the first layer, so that block 1 reads what a user has."""

    def __init__(self, embeddings: Embeddings, layer: Layer) -> None:
        """Takes the two parts."""
        self.embeddings = embeddings
        self.layer = layer

    def __call__(self, tokens: Array) -> tuple[Array, Array]:
        """Maps token and segment ids [B, 2, S] to (hidden, mask)."""
        return self.layer(self.embeddings(tokens))


class Exit(nnx.Module):
    """ElasticBERT's exit: dense and tanh on the first token, then a classifier.

    Every exit has a pooler of its own, as BERT has one behind its last layer.
    """

    def __init__(
        self,
        hidden: int,
        num_classes: int,
        *,
        dropout: float,
        dtype: str,
        rngs: nnx.Rngs,
    ) -> None:
        """Takes the width of the encoder and the number of classes."""
        self.pooler = linear(hidden, hidden, dtype=dtype, rngs=rngs)
        self.classifier = linear(hidden, num_classes, dtype="float32", rngs=rngs)
        self.dropout = nnx.Dropout(dropout, deterministic=True, rngs=rngs)

    def __call__(self, x: tuple[Array, Array]) -> Array:
        """Maps (hidden [B, S, hidden], mask) to logits [B, C] float32."""
        pooled = self.dropout(jnp.tanh(self.pooler(x[0][:, 0])))
        return self.classifier(pooled)


class BERT(MultiExit):
    """BERT's encoder with an exit after every layer, which is ElasticBERT.

    Post-norm layers, exact GELU, learned positions. A text is [2, S]: token ids, 0 for
    padding, over segment ids; its first token is the one that exits read, [CLS].
    Padding is never attended to, so logits do not depend on it. The activation that is
    shipped is (hidden [B, S, hidden], mask [B, S] bool).

    The defaults are BERT-base. Weights of BERT and ElasticBERT: `load_weights`.
    Dropout is off until `jsplit.train` switches it on.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jsplit.models import BERT
        >>> sizes = dict(vocab_size=100, num_layers=3, hidden=32, num_heads=4)
        >>> model = BERT(2, **sizes, rngs=nnx.Rngs(0))
        >>> tokens = jnp.ones((5, 2, 16), jnp.int32)
        >>> model(tokens).shape
        (5, 3, 2)
        >>> hidden, mask = model.head(tokens, 1)
        >>> hidden.shape, mask.shape
        ((5, 16, 32), (5, 16))
    """

    def __init__(
        self,
        num_classes: int,
        *,
        vocab_size: int,
        num_layers: int = 12,
        hidden: int = 768,
        num_heads: int = 12,
        intermediate: int | None = None,
        max_length: int = 512,
        num_segments: int = 2,
        dropout: float = 0.1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ) -> None:
        """Builds the network with random weights.

        Args:
            num_classes: C >= 2.
            vocab_size: token ids are 0..vocab_size - 1; 30522 for English BERT.
            num_layers: L >= 2.
            hidden: width, a multiple of `num_heads`.
            num_heads: attention heads of a layer, >= 1.
            intermediate: width between a layer's dense layers; default 4 `hidden`.
            max_length: longest text in tokens, >= 1.
            num_segments: segment ids are 0..num_segments - 1.
            dropout: rate in [0, 1) during training, everywhere BERT has it.
            dtype: what layers compute in, "float32" or "bfloat16". Weights and logits
                are float32 either way.
            rngs: source of the initial weights and of dropout.

        Raises:
            JsplitError: if an argument is out of range, or if `hidden` is not a
                multiple of `num_heads`.
        """
        sizes = _sizes(
            num_classes=num_classes,
            vocab_size=vocab_size,
            num_layers=num_layers,
            hidden=hidden,
            num_heads=num_heads,
            intermediate=intermediate,
            max_length=max_length,
            num_segments=num_segments,
        )
        dropout = checks.number("dropout", dropout, 0.0)
        if dropout >= 1:
            raise JsplitError(f"dropout must be below 1, got {dropout:g}")
        common: dict[str, Any] = {
            "dropout": dropout,
            "dtype": checks.choice("dtype", dtype, ["float32", "bfloat16"]),
            "rngs": rngs,
        }
        embeddings = Embeddings(
            vocab_size,
            hidden,
            max_length=max_length,
            num_segments=num_segments,
            **common,
        )
        layers = [
            Layer(hidden, num_heads, sizes["intermediate"], **common)
            for _ in range(num_layers)
        ]
        super().__init__(
            blocks=[FirstLayer(embeddings, layers[0]), *layers[1:]],
            heads=[Exit(hidden, num_classes, **common) for _ in range(num_layers)],
            dropout=dropout,
            dtype=dtype,
            **sizes,
        )


def _sizes(**given: int | None) -> dict[str, int]:
    """Returns the sizes of a `BERT`, checked, with the default of `intermediate`."""
    sizes: dict[str, int] = {}
    for name, value in given.items():
        if name == "intermediate" and value is None:
            value = 4 * sizes["hidden"]
        least = 2 if name in ("num_classes", "num_layers") else 1
        sizes[name] = checks.integer(name, value, least)
    hidden, num_heads = sizes["hidden"], sizes["num_heads"]
    if hidden % num_heads:
        raise JsplitError(
            f"hidden must be a multiple of num_heads = {num_heads}, got {hidden}"
        )
    return sizes
