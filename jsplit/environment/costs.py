"""What a decision costs: device compute, heads, shipping, and mu.

Here: the `Costs` container and presets, each number with its source. Not here: how a
plan adds them up (`outcomes`), costs of devices and links (`profiles`).
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError

# SplitEE (arXiv 2309.09195), released code: lambda = 0.1 with mu folded in. A layer is
# 0.08 of it and a head 0.02. SplitEE bills 0.08 i + 0.02 at layer i. SplitEE-S, which
# evaluates every head on the way, bills 0.1 i. Offloading ranges over 0.1 ... 0.5.
SPLITEE_LAYER = 0.08
SPLITEE_HEAD = 0.02
SPLITEE_OFFLOAD = 0.5

# I-SplitEE (arXiv 2401.10541), released code: 0.1 for each of MobileNetV2's 19 feature
# blocks, heads free; exits after these blocks; offloading 0.5; mu = 1.
ISPLITEE_BLOCK = 0.1
ISPLITEE_EXITS = (3, 6, 9, 12, 15, 18, 19)
ISPLITEE_OFFLOAD = 0.5

LEAVES = ("compute", "head", "offload", "mu", "input")


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass(frozen=True, eq=False)
class Costs:
    """Costs of computing on the device and of shipping to the cloud, per exit.

    A device that runs to layer i, evaluates the heads H on the way and ships or not has
    the cost

        compute[i] + sum(head[j] for j in H) + shipped * offload[i].

    The reward of the decision is the confidence of the answer minus `mu` times its
    cost.

    A pytree whose leaves are the numbers: `jax.jit`, `jax.vmap` and `jax.grad` see
    through it. Its unit does not survive them. Traced numbers are not checked.

    Args:
        compute: [L] cost of running layers 1..i, non-decreasing, >= 0.
        head: [L] or a number; cost of evaluating head i once, >= 0.
        offload: [L] or a number; cost of shipping after layer i, >= 0.
        mu: confidence per unit of cost, >= 0.
        unit: the unit of the costs, shown with every result.
        input: cost of shipping the input itself, with nothing run on the device, >= 0.
            None: the cost of shipping after layer 1.

    Raises:
        JsplitError: if a cost is negative, not finite or of the wrong shape.

    Example:
        >>> costs = Costs([1.0, 2.0, 4.0], head=0.1, offload=3.0, mu=0.05, unit="mJ")
        >>> costs.num_exits
        3
    """

    compute: np.ndarray  # [L] float64
    head: np.ndarray  # [L] float64
    offload: np.ndarray  # [L] float64
    mu: float = 1.0
    unit: str = "cost unit"
    input: float = 0.0

    def __init__(
        self,
        compute: ArrayLike,
        head: ArrayLike = 0.0,
        offload: ArrayLike = 0.0,
        mu: float = 1.0,
        unit: str = "cost unit",
        input: float | None = None,
    ) -> None:
        layers: Any = _non_negative("compute", compute)
        if layers.ndim != 1 or layers.size < 2:
            raise JsplitError(
                "compute must hold one cost per exit, at least 2, got an array of "
                f"shape {layers.shape}"
            )
        if not checks.is_traced(layers) and (np.diff(layers) < 0).any():
            raise JsplitError(
                "compute must not decrease from exit to exit (it is the cost of all "
                f"layers so far), got {checks.shown(layers.tolist())}"
            )
        for name, value in (("head", head), ("offload", offload)):
            array = _non_negative(name, value)
            if array.shape not in ((), layers.shape):
                raise JsplitError(
                    f"{name} must be a number or have shape {layers.shape} like "
                    f"compute, got shape {array.shape}"
                )
            object.__setattr__(self, name, _frozen(array, layers.shape))
        object.__setattr__(self, "compute", _frozen(layers, layers.shape))
        object.__setattr__(self, "mu", checks.moderate("mu", mu))
        object.__setattr__(self, "unit", str(unit))
        input = self.offload[0] if input is None else input
        object.__setattr__(self, "input", checks.moderate("input", input))
        if not checks.is_traced(self):
            most = self.mu * max(layers.max(), self.head.max(), self.offload.max())
            if max(most, self.mu * self.input) > checks.LARGEST:
                raise JsplitError(
                    f"mu times a cost must be at most {checks.LARGEST:g}, or single "
                    f"precision overflows, got mu {self.mu:g}"
                )
        object.__setattr__(self, "_checked", True)

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """Returns the numbers, the leaves of the pytree."""
        return tuple(getattr(self, name) for name in LEAVES), None

    @classmethod
    def tree_unflatten(cls, aux: None, leaves: Iterable[Any]) -> "Costs":
        """Returns costs made of these leaves, whatever they are."""
        del aux
        costs = object.__new__(cls)
        for name, leaf in zip(LEAVES, leaves, strict=True):
            object.__setattr__(costs, name, leaf)
        return costs

    def checked(self) -> "Costs":
        """Returns the costs, checked if a transformation of JAX made them.

        Raises:
            JsplitError: if they are traced, or a cost is out of its range.
        """
        if checks.is_traced(self):
            raise JsplitError(f"costs {checks.NOT_TRACED}")
        if getattr(self, "_checked", False):
            return self
        numbers: dict[str, Any] = {
            name: np.asarray(getattr(self, name)) for name in LEAVES
        }
        return Costs(
            **{**numbers, "mu": numbers["mu"][()], "input": numbers["input"][()]}
        )

    @property
    def num_exits(self) -> int:
        """The number of exits L."""
        return self.compute.shape[-1]

    @property
    def numbers(self) -> dict[str, Any]:
        """The arguments, as stored with results: `Costs(**costs.numbers)` is a copy.

        Example:
            >>> Costs([1.0, 2.0], unit="mJ").numbers["head"]
            [0.0, 0.0]
        """
        return {
            "compute": self.compute.tolist(),
            "head": self.head.tolist(),
            "offload": self.offload.tolist(),
            "mu": self.mu,
            "unit": self.unit,
            "input": self.input,
        }

    @classmethod
    def splitee(
        cls,
        num_exits: int,
        offload: ArrayLike = SPLITEE_OFFLOAD,
        *,
        layer: float = SPLITEE_LAYER,
        head: float = SPLITEE_HEAD,
        mu: float = 1.0,
    ) -> "Costs":
        """Returns SplitEE's costs: lambda = 0.1 a layer, of which 0.02 is its head.

        `compute[i] = layer * i`, i = 1..L. The published numbers already contain mu:
        lambda is 0.1 in units of confidence. So `mu` is 1, and a cost of 0.1 is one
        lambda.

        Args:
            num_exits: number of exits L, >= 2.
            offload: cost of shipping, a number or [L], >= 0; published 0.1 to 0.5.
            layer: cost of one layer, lambda1, >= 0.
            head: cost of evaluating one head, lambda2, >= 0.
            mu: confidence per unit of cost, >= 0.

        Returns:
            Costs for `num_exits` exits.

        Raises:
            JsplitError: if an argument is out of its range.

        Example:
            >>> Costs.splitee(12, offload=0.5).compute[:2]
            array([0.08, 0.16])

        Reference:
            Bajpai et al., SplitEE, arXiv 2309.09195, and its released code.
        """
        num_exits = checks.integer("num_exits", num_exits, low=2)
        layer = checks.moderate("layer", layer)
        depth = np.arange(1, num_exits + 1)
        return cls(layer * depth, head, offload, mu, unit="10 lambda (SplitEE)")

    @classmethod
    def isplitee(
        cls, num_exits: int = 7, offload: ArrayLike = ISPLITEE_OFFLOAD, mu: float = 1.0
    ) -> "Costs":
        """Returns I-SplitEE's costs for MobileNetV2's seven exits.

        A feature block costs 0.1 and a head nothing. Exits are after blocks 3, 6, 9,
        12, 15, 18 and 19, the final one. With fewer exits, the first ones count.

        Args:
            num_exits: number of exits L, 2..7.
            offload: cost of shipping, a number or [L], >= 0.
            mu: confidence per unit of cost, >= 0.

        Returns:
            Costs for `num_exits` exits.

        Raises:
            JsplitError: if an argument is out of its range.

        Reference:
            Bajpai et al., I-SplitEE, arXiv 2401.10541, and its released code.
        """
        num_exits = checks.integer("num_exits", num_exits, 2, len(ISPLITEE_EXITS))
        blocks = np.array(ISPLITEE_EXITS[:num_exits])
        return cls(
            ISPLITEE_BLOCK * blocks, 0.0, offload, mu, unit="10 blocks (I-SplitEE)"
        )


def _non_negative(name: str, value: Any) -> Any:
    if checks.is_traced(value):
        return jnp.asarray(value, jnp.result_type(float))
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths
        array = np.array(None)
    # Not a test of dtype.kind: bfloat16, for one, is of kind "V".
    if array.dtype == bool or not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise JsplitError(f"{name} must be numbers, got {checks.shown(value)}")
    array = array.astype(np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        raise JsplitError(
            f"{name} must be finite and >= 0, got {checks.shown(array.tolist())}"
        )
    if (array > checks.LARGEST).any():
        raise JsplitError(
            f"{name} must be at most {checks.LARGEST:g}, or single precision "
            f"overflows, got {checks.shown(array.tolist())}"
        )
    return array


def _frozen(array: Any, shape: tuple[int, ...]) -> Any:
    if checks.is_traced(array):
        return jnp.broadcast_to(array, shape)
    array = np.broadcast_to(array, shape).copy()
    array.flags.writeable = False
    return array
