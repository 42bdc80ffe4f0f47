"""The contract of a policy: plans x selector x reveal.

Here: `Policy`, `Selector` and what selectors share. Not here: any concrete one (the
files beside this) or what runs them (`engine`). A selector sees rewards, never exits or
costs.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.types import (
    Context,
    ContextKind,
    Feedback,
    JsplitError,
    Now,
    Plan,
    Prior,
    Protocol,
    Reveal,
    Score,
    Signal,
)


class NoParams(NamedTuple):
    """Params of a selector without numbers."""


class Selector(abc.ABC):
    """Picks one of K plans at each step and learns from feedback.

    A concrete selector is a frozen dataclass that holds structure only, so that equal
    ones share one compiled program. Numbers live in a NamedTuple, `params`, that is
    passed to every call and may be traced. State is a pytree of arrays.

    Arms are the leading axis of every array and replicas, if any, the trailing axes:
    `[K, *lanes]`. Code that only broadcasts over `lanes` is right for one replica and
    for a block of them, and keeps replicas on the vector lanes. `jax.vmap` over a
    trailing axis gives the same numbers at less than half the speed: its batching rules
    move the replicas to the front.
    """

    @property
    def initial_plays(self) -> bool:
        """Whether every arm is played once, in order, before `select` is asked."""
        return False

    @abc.abstractmethod
    def default_params(self) -> Any:
        """Returns the published numbers."""

    @abc.abstractmethod
    def init(self, params: Any, num_arms: int, lanes: tuple[int, ...] = ()) -> Any:
        """Returns the state before the first step, arrays `[K, *lanes]`.

        Args:
            params: numbers of the selector.
            num_arms: number of plans K, >= 1.
            lanes: () for one replica, (R,) for a block of R.
        """

    @abc.abstractmethod
    def select(self, params: Any, state: Any, key: Array, now: Now) -> Array:
        """Returns the arm to play, `[*lanes]` int32.

        Args:
            params: numbers of the selector.
            state: what `init` or `update` returned.
            key: `[*lanes]` typed keys, fresh at every step.
            now: the round and, for a policy with a context, the context.
        """

    @abc.abstractmethod
    def update(self, params: Any, state: Any, feedback: Feedback) -> Any:
        """Returns the state after `feedback`, of the same structure and types."""

    def with_prior(self, params: Any, prior: Prior) -> Any:
        """Returns `params` completed by prior knowledge; by default as they are."""
        del prior
        return params

    def over_contexts(self, num_contexts: int) -> "Selector":
        """Returns the selector for so many contexts; by default itself."""
        del num_contexts
        return self

    def under(self, protocol: Protocol) -> "Selector":
        """Returns the selector that a protocol asks for; by default itself."""
        del protocol
        return self


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy: which plans there are, who picks, and what is learned.

    Attributes:
        name: as registered.
        plans: (num_exits, protocol) -> K stacked plans.
        selector: picks one of the plans at each step.
        numbers: numbers shown in the label, by name.
        params: numbers of the selector; None for its defaults.
        reveal: whose rewards become known after a step.
        learns: what the selector learns from as its reward; the policy is judged by
            "reward" in any case.
        context: what the selector observes before it chooses; None for nothing.
        score: what the thresholds of the plans are compared with.
        alpha: confidence in [0, 1]. The regret of a policy with one plan compares it
            with the fixed splits at this threshold.
        privileged: True = may see what no device can; a yardstick, not a competitor.

    Raises:
        JsplitError: if `reveal`, `learns`, `score` or the kind of `context` is unknown.
    """

    name: str
    plans: Callable[[int, Protocol], Plan]
    selector: Selector
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    params: Any = None
    reveal: Reveal = "own"
    learns: Signal = "reward"
    context: Context | None = None
    score: Score = "confidence"
    alpha: float = 0.7
    privileged: bool = False

    def __post_init__(self) -> None:
        """Refuses a misspelt word, which would be taken for another."""
        for name, words in (("reveal", Reveal), ("learns", Signal), ("score", Score)):
            checks.choice(name, getattr(self, name), get_args(words))
        if self.context is not None:
            checks.choice("context", self.context.kind, get_args(ContextKind))

    @property
    def label(self) -> str:
        """Name and numbers, as in `fixed_split(depth=3)`; shown in every result."""
        if not self.numbers:
            return self.name
        inside = ", ".join(f"{key}={value!r}" for key, value in self.numbers.items())
        return f"{self.name}({inside})"

    def with_numbers(self, numbers: dict[str, Any]) -> "Policy":
        """Returns the policy with `numbers` shown in its label."""
        return dataclasses.replace(self, numbers=numbers)


def context_of(seen: Now | Feedback) -> Array:
    """Returns the context of a step, `[*lanes]` int32, for a selector that reads it.

    Args:
        seen: argument of `select` or `update`.

    Raises:
        JsplitError: if the policy has no context.
    """
    if seen.context is None:
        raise JsplitError(
            "context must be asked for by a policy whose selector reads it, such as "
            'Policy(..., context=Context("condition")), got None'
        )
    return seen.context


def one_hot(arm: Array, num_arms: int) -> Array:
    """Returns `[K, *lanes]` bool: True where the arm is `arm` (`[*lanes]`)."""
    arms = jnp.arange(num_arms, dtype=arm.dtype)
    return arms.reshape(-1, *([1] * arm.ndim)) == arm[None]


def at_arm(values: Array, arm: Array) -> Array:
    """Returns `values[arm]` for every lane: `[K, *lanes]`, `[*lanes]` -> `[*lanes]`."""
    if arm.ndim == 0:
        return values[arm]
    num_lanes = arm.shape[0]
    lanes = jnp.arange(num_lanes, dtype=arm.dtype)
    return _gather(values.reshape(-1), arm * num_lanes + lanes)


@jax.custom_batching.custom_vmap
def _gather(values: Array, index: Array) -> Array:
    """Returns `values[index]` for flat values and an index known to be inside."""
    return values.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


@_gather.def_vmap
def _(size: int, batched: Any, values: Array, index: Array) -> tuple[Array, bool]:
    """Stays flat, where the rule of JAX would gather by triples that it writes out."""
    if batched[0]:
        first = jnp.arange(size, dtype=index.dtype) * values.shape[1]
        index = index if batched[1] else index[None]
        index = index + first.reshape(-1, *[1] * (index.ndim - 1))
    return _gather(values.reshape(-1), index), True


def best_arm(values: Array) -> Array:
    """Returns the arm with the largest of `[K, *lanes]` values, ties to the lowest."""
    return jnp.argmax(values, axis=0).astype(jnp.int32)


def per_lane(draw: Callable[..., Array], key: Array, *arrays: Array) -> Array:
    """Returns `draw(key, *arrays)` for every lane, with a draw of its own.

    Args:
        draw: function of the key and the arrays of one lane, returns `[...]`.
        key: `[*lanes]` typed keys.
        *arrays: `[..., *lanes]` further arguments of `draw`.

    Returns:
        `[..., *lanes]` what `draw` returns for each lane.
    """
    if key.ndim == 0:
        return draw(key, *arrays)
    lanes_last = [-1] * len(arrays)
    return jax.vmap(draw, in_axes=(0, *lanes_last), out_axes=-1)(key, *arrays)
