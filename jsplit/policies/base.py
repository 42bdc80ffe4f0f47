"""The contract of a policy: plans x selector x reveal.

Here: the two classes a policy is made of. Not here: any concrete one (the files beside
this) or what runs them (`engine`). A selector sees rewards, never exits or costs.
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
    Facts,
    Feedback,
    JsplitError,
    Now,
    Plan,
    Protocol,
    Reveal,
    Score,
    Signal,
)


class NoParams(NamedTuple):
    """The params of a selector that has no numbers."""


class Selector(abc.ABC):
    """Picks one of K plans at each step and learns from feedback.

    A concrete selector is a frozen dataclass holding structure only, so that equal ones
    share one compiled program. Numbers live in a NamedTuple `Params` that is passed to
    every call and may be traced. State is a pytree of arrays.

    Arms are the leading axis of every array and replicas, if any, the trailing ones:
    `[K, *lanes]`. Code that only broadcasts over `lanes` is right for one replica and
    for a block of them, and keeps replicas on the vector lanes; `jax.vmap` over a
    trailing axis gives the same numbers at less than half the speed, because its
    batching rules move the replicas to the front.
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
        """Returns the state before the first step, arrays `[K, *lanes]`."""

    @abc.abstractmethod
    def select(self, params: Any, state: Any, key: Array, now: Now) -> Array:
        """Returns the arm to play, `[*lanes]` int32.

        Args:
            params: the numbers.
            state: the state.
            key: `[*lanes]` typed keys, fresh at every step.
            now: the round and, for a policy that asks for it, the context.
        """

    @abc.abstractmethod
    def update(self, params: Any, state: Any, feedback: Feedback) -> Any:
        """Returns the state after `feedback`, of the same structure and types."""

    def informed(self, params: Any, facts: Facts) -> Any:
        """Returns `params` told what the costs imply, usually as they were."""
        del facts
        return params

    def over_contexts(self, num_contexts: int) -> "Selector":
        """Returns the selector for so many contexts, usually itself."""
        del num_contexts
        return self

    def under(self, protocol: Protocol) -> "Selector":
        """Returns the selector that a protocol's switches ask for, usually itself."""
        del protocol
        return self


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy: which plans there are, who picks, and what is learned.

    Attributes:
        name: as registered.
        plans: (num_exits, protocol) -> K stacked plans.
        selector: picks among them.
        numbers: what the user set or the defaults, shown in results.
        params: the selector's numbers; None for its defaults.
        reveal: whose rewards a step makes known.
        learns: what those rewards are; the policy is judged by "reward" in any case.
        context: what it is told before it chooses; None for nothing.
        score: what the plans' thresholds are compared with.
        alpha: threshold of the fixed splits that single-plan policies are compared
            with in their regret.
        privileged: True = may see what no device can; a yardstick, not a competitor.

    Raises:
        JsplitError: for a word that is not one of those of `reveal`, `learns`, `score`
            or the kind of `context`.
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
        """Checks the words: a misspelt one would be taken for another."""
        for name, words in (("reveal", Reveal), ("learns", Signal), ("score", Score)):
            checks.choice(name, getattr(self, name), get_args(words))
        if self.context is not None:
            checks.choice("context", self.context.kind, get_args(ContextKind))

    @property
    def label(self) -> str:
        """The name with the numbers that were set, unique within an evaluation."""
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
        seen: what `select` or `update` was told.

    Raises:
        JsplitError: if the policy asks for no context.
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
    lanes = jnp.arange(arm.shape[0], dtype=arm.dtype)
    return values.at[arm, lanes].get(
        mode="promise_in_bounds", wrap_negative_indices=False
    )


def best_arm(values: Array) -> Array:
    """Returns the arm with the largest of `[K, *lanes]` values, ties to the lowest."""
    return jnp.argmax(values, axis=0).astype(jnp.int32)


def per_lane(draw: Callable[..., Array], key: Array, *arrays: Array) -> Array:
    """Returns `draw(key, *arrays)` for every lane, with a draw of its own.

    Args:
        draw: takes the key and the arrays of one lane and returns `[...]`.
        key: `[*lanes]` typed keys.
        *arrays: `[..., *lanes]`.

    Returns:
        `[..., *lanes]`.
    """
    if key.ndim == 0:
        return draw(key, *arrays)
    lanes_last = [-1] * len(arrays)
    return jax.vmap(draw, in_axes=(0, *lanes_last), out_axes=-1)(key, *arrays)
