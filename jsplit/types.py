"""The words of jsplit: dimension letters, plans, outcomes, feedback, protocol.

Here: the small containers every other module speaks in. Not here: how they are built
(`policies.plans`) or executed (`environment.outcomes`, `engine`). Imports nothing of
jsplit, so everything may import it.

Dimension letters, used in every docstring:

=====  =================================================================
N      samples of a data set
L      exits of a network, counted from 1 in words and from 0 in arrays
C      classes
M      conditions of a scenario; 1 where nothing changes
K      plans, which are the arms of a bandit
R      replicas: one stream of samples and one run of a policy each
T      steps of a run
=====  =================================================================
"""

import dataclasses
from typing import Any, Literal, NamedTuple

from jax import Array

Score = Literal["confidence", "entropy", "patience"]
"""What a plan compares with its thresholds; larger always means more certain."""

Reveal = Literal["own", "prefix", "shipped", "all"]
"""The plans whose rewards become known after a step (side observations).

- "own": the played plan.
- "prefix": the played plan and shallower ones.
- "shipped": all plans if the sample was shipped, else those that would ship.
- "all": all plans.
"""

Signal = Literal["reward", "gain", "disagreement", "agreement"]
"""What a policy learns from; it is always judged by the reward.

`evaluation.feedback.learning_rewards` has the formulas.
"""

ContextKind = Literal["condition", "confidence", "cheapest", "best"]
"""What the context of a step may be, see `Context`."""


class Context(NamedTuple):
    """What a policy observes before it chooses, as one of a few numbered contexts.

    Kinds:

    - "condition": which condition of the scenario holds, such as the state of a link.
    - "confidence": the confidence of exit `exit`, in `bins` equal bins of [0, 1]. Every
      plan of the policy must run that head.
    - "cheapest": the plan that costs least, for plans whose cost does not depend on the
      sample.
    - "best": the plan with the largest reward on this very sample, which no device can
      know.

    Attributes:
        kind: one of the above.
        exit: the exit whose confidence is observed, 1..L.
        bins: number of bins, >= 1.
    """

    kind: ContextKind
    exit: int = 1
    bins: int = 1


class JsplitError(ValueError):
    """A problem the user can fix: one line naming the argument, value and rule."""


class Plan(NamedTuple):
    """What to do with one sample, as data.

    The device runs exits 1, 2, ... and stops at the first exit i <= `depth` whose
    score reaches `threshold[i]`. If none does, exit L answers when `depth` = L and
    the sample is shipped to the cloud otherwise. Fields are NumPy or JAX arrays; a
    leading axis K stacks several plans.
    """

    threshold: Any  # [L] float; +inf = never stop here, -inf = always stop
    depth: Any  # [] int32, 0..L: the deepest exit on the device
    heads: Any  # [L] bool; True = this head is evaluated (and paid) if reached
    delay: Any  # [] int32; layers run beyond the exit that stopped, usually 0
    route: Any  # [] int32; how the sample is shipped, 0 where there is one route


class Outcome(NamedTuple):
    """What K plans did with N samples; every field is [N, K]."""

    reward: Array  # float: confidence of the answer minus mu times the learned cost
    cost: Array  # float: what is billed, in the unit of the costs
    correct: Array  # bool
    exit: Array  # int32: 0..L-1 answered on the device, L = shipped


class RewardRange(NamedTuple):
    """An interval that holds every reward a policy can learn from."""

    low: Any  # [] float
    high: Any  # [] float


class Prior(NamedTuple):
    """What follows from costs and plans before any sample is seen."""

    reward_range: RewardRange
    shipping_price: Any  # [contexts] float: mu * cost of shipping, mean over exits


class Now(NamedTuple):
    """What a policy observes when it chooses a plan."""

    t: Array  # [] int32: the 1-based round
    context: Array | None  # [*lanes] int32, None if the policy asks for no context


class Feedback(NamedTuple):
    """What a selector learns from one step; `*lanes` is () or (replicas,).

    `rewards` and `revealed` are None where only the played arm's reward becomes known
    (`reveal="own"`).
    """

    arm: Array  # [*lanes] int32: the arm that was played
    reward: Array  # [*lanes] float: its reward
    rewards: Array | None  # [K, *lanes] float; meaningless where not revealed
    revealed: Array | None  # [K, *lanes] bool; True = this reward became known
    context: Array | None = None  # [*lanes] int32: the context of the step


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The switches by which released code differs from the published mathematics.

    `Protocol()` is the mathematics ("paper"); `Protocol.named("released")` turns
    every switch to what the authors' code does. `dataclasses.replace` turns one.

    Attributes:
        initial_plays: "billed" plays every arm once, in order, as the first K steps.
            "free" plays every arm once on the first K samples of the stream without
            charge, then starts over and uses those samples again.
        clock: "rounds" puts ln t in the index, t the 1-based round with the initial
            plays counted. "steps" counts without them, so the first bonus is zero.
        learned_cost: "billed" learns from the billed cost. "all_heads" learns as if
            every head up to the exit had been evaluated, whatever is billed.
        side_information: "strict" reveals a shallower arm only if what was computed
            determines its reward. "released" reveals every shallower arm, even where
            its reward needs a final confidence that was never computed.
        random_arm: "per_step" draws an arm for every sample; "per_run" draws one for
            a whole stream.
        cascade_answer: "on_time" answers at the exit that stopped; "one_late" runs,
            bills and answers with the exit after it.
        final_bill: "one_head" bills the final exit for the one head it evaluates;
            "all_heads" for all of them, as the published baseline does.

    Raises:
        JsplitError: if a switch has a value that is not listed.

    Example:
        >>> dataclasses.replace(Protocol(), clock="steps").switches()["clock"]
        'steps'
    """

    initial_plays: Literal["billed", "free"] = "billed"
    clock: Literal["rounds", "steps"] = "rounds"
    learned_cost: Literal["billed", "all_heads"] = "billed"
    side_information: Literal["strict", "released"] = "strict"
    random_arm: Literal["per_step", "per_run"] = "per_step"
    cascade_answer: Literal["on_time", "one_late"] = "on_time"
    final_bill: Literal["one_head", "all_heads"] = "one_head"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            allowed = field.type.__args__  # type: ignore[union-attr]
            value = getattr(self, field.name)
            if value not in allowed:
                raise JsplitError(
                    f"protocol switch {field.name} must be one of "
                    f"{', '.join(map(repr, allowed))}, got {value!r}"
                )

    @classmethod
    def named(cls, name: "str | Protocol") -> "Protocol":
        """Returns the protocol called "paper" or "released"; a `Protocol` as it is.

        Raises:
            JsplitError: if the name is another.
        """
        if isinstance(name, Protocol):
            return name
        if name == "paper":
            return cls()
        if name == "released":
            return cls(*(field.type.__args__[1] for field in dataclasses.fields(cls)))  # type: ignore[union-attr]
        raise JsplitError(f"protocol must be 'paper' or 'released', got {name!r}")

    def switches(self) -> dict[str, Any]:
        """Returns the switches by name, as stored with every result."""
        return dataclasses.asdict(self)
