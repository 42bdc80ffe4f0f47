"""One mechanism that turns a list of blocks and a list of heads into exits.

Here: the full pass and its two halves at a split. Not here: any particular network
(`networks`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jsplit import checks
from jsplit.types import JsplitError


class MultiExit(nnx.Module):
    """A chain of blocks with one exit head after each of them.

    Block i maps the activation after block i - 1 to the next one, and head i reads
    the activation after block i and gives the logits of exit i. An activation is
    whatever the blocks agree on: an array, or a tuple such as (hidden, mask), always
    with the batch first. To make a new network, subclass this, build both lists in
    `__init__` and pass them on; `CNN` shows it. A stem belongs to the first block.

    Attributes:
        blocks: L modules, activation -> activation.
        heads: L modules, activation -> logits [B, C].
        arguments: what a subclass was built with, pairs of a name and a value.

    Example:
        >>> import jax
        >>> from flax import nnx
        >>> from jsplit.models import MultiExit
        >>> rngs = nnx.Rngs(0)
        >>> blocks = [nnx.Linear(4, 4, rngs=rngs) for _ in range(3)]
        >>> heads = [nnx.Linear(4, 2, rngs=rngs) for _ in range(3)]
        >>> model = MultiExit(blocks, heads)
        >>> x = jax.numpy.ones((5, 4))
        >>> model(x).shape, model.tail(model.head(x, 1), 1).shape
        ((5, 3, 2), (5, 2, 2))
    """

    def __init__(
        self,
        blocks: Sequence[nnx.Module],
        heads: Sequence[nnx.Module],
        **arguments: Any,
    ) -> None:
        """Takes the blocks and heads, in order from the input.

        Args:
            blocks: L >= 2 modules.
            heads: L modules.
            **arguments: what a subclass was built with, numbers, texts and sequences
                of them; `save_model` writes it down so that `load_model` can build
                the same network.

        Raises:
            JsplitError: if there are fewer than 2 blocks, or not one head per block.
        """
        if len(blocks) < 2:
            raise JsplitError(f"blocks must have at least 2 entries, got {len(blocks)}")
        if len(heads) != len(blocks):
            raise JsplitError(
                f"heads must have one entry per block ({len(blocks)}), got {len(heads)}"
            )
        self.blocks = nnx.List(blocks)
        self.heads = nnx.List(heads)
        # A tuple, so that NNX takes it for structure: hashable and without arrays.
        self.arguments = tuple(
            (name, tuple(value) if isinstance(value, list) else value)
            for name, value in sorted(arguments.items())
        )

    @property
    def num_exits(self) -> int:
        """L, the number of exits."""
        return len(self.blocks)

    def __call__(self, x: Any) -> Array:
        """Returns the logits of all exits in one pass.

        Args:
            x: the input of the first block, B samples.

        Returns:
            [B, L, C] logits.
        """
        return self._logits_from(x, 0)

    def head(self, x: Any, split: int) -> Any:
        """Returns the activation after block `split`: the device's half.

        The device's own exits read it with `heads[split - 1]`.

        Args:
            x: the input of the first block, B samples.
            split: 1..L, the number of blocks on the device.

        Returns:
            the activation that is shipped to the cloud, B samples.

        Raises:
            JsplitError: if `split` is out of range.
        """
        for block in self.blocks[: checks.integer("split", split, 1, self.num_exits)]:
            x = block(x)
        return x

    def tail(self, h: Any, split: int) -> Array:
        """Returns the logits of the exits behind the split: the cloud's half.

        Args:
            h: the activation given by `head(x, split)`, B samples.
            split: 1..L - 1; after block L nothing is left to do.

        Returns:
            [B, L - split, C] logits, equal to the last L - split of the full pass.

        Raises:
            JsplitError: if `split` is out of range.
        """
        return self._logits_from(
            h, checks.integer("split", split, 1, self.num_exits - 1)
        )

    def _logits_from(self, h: Any, start: int) -> Array:
        logits = []
        for block, head in zip(self.blocks[start:], self.heads[start:], strict=True):
            h = block(h)
            logits.append(head(h))
        return jnp.stack(logits, axis=1)


def logits_shape(model: Callable[[Any], Array], inputs: np.ndarray) -> tuple[int, int]:
    """Returns L and C of a model, without running it.

    Args:
        model: gives logits for a batch.
        inputs: [B, ...] any batch.

    Raises:
        JsplitError: if the model does not return [B, L, C] with L >= 2 and C >= 2.
    """
    if isinstance(model, nnx.Module):
        # NNX's own, which lets a module in training mode update its state.
        shape = nnx.eval_shape(lambda module, x: module(x), model, inputs).shape
    else:
        shape = jax.eval_shape(model, inputs).shape
    good = len(shape) == 3 and shape[0] == len(inputs) and min(shape[1:]) >= 2
    if not good:
        raise JsplitError(
            "model must return logits [B, L, C] with L >= 2 and C >= 2, "
            f"got shape {shape} for {len(inputs)} inputs"
        )
    return shape[1], shape[2]
