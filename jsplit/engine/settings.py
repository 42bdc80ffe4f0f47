"""How a scenario is replayed: one value, made once and handed on.

Here: `Run`, whose fields are checked, and `Keep`, which of what happens is returned.
Not here: what is replayed (`environment`, `policies`) or how (`replay`, `shard`).
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jsplit import checks
from jsplit.engine import streams
from jsplit.types import JsplitError, Protocol

MAX_INDEX = 2**31 - 1  # steps and table cells are numbered in int32
MAX_STEPS = MAX_INDEX - 64
NUM_CHECKPOINTS = 64  # steps at which regret is kept, unless others are asked for
MAX_REPLICAS = 10**8  # beyond it one result no longer fits a host: sweep over seeds


@dataclasses.dataclass(frozen=True)
class Keep:
    """What a replay returns beside its sums.

    Attributes:
        steps: the sample and the plan of every step.
        visits: how often each (condition, plan, exit) was paid.
        curves: regret of every replica at every checkpoint, not only its moments.
    """

    steps: bool = False
    visits: bool = False
    curves: bool = False


@dataclasses.dataclass(frozen=True)
class Run:
    """How a scenario is replayed.

    Attributes:
        horizon: T, steps of a run, >= 1.
        checkpoints: increasing steps in 1..T at which regret is kept, the last one T.
        num_replicas: R, >= 1.
        first_replica: number of the first replica, >= 0; for bootstrap streams a
            multiple of `streams.ORDERS`.
        stream: kind of stream.
        seed: of streams and draws, >= 0.
        protocol: the switches between published mathematics and released code.
        keep: what is returned.
        devices: JAX devices to run on; None for all.
        block_size: replicas that a device steps through together; None for a size
            that suits the device.
    """

    horizon: int
    checkpoints: tuple[int, ...]
    num_replicas: int = 1024
    first_replica: int = 0
    stream: streams.Kind = "shuffle"
    seed: int = 0
    protocol: Protocol = dataclasses.field(default_factory=Protocol)
    keep: Keep = dataclasses.field(default_factory=Keep)
    devices: tuple[Any, ...] | None = None
    block_size: int | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        def whole(name: str, low: int, high: int | None = None) -> None:
            put(name, checks.integer(name, getattr(self, name), low, high))

        whole("num_replicas", 1, MAX_REPLICAS)
        whole("first_replica", 0, MAX_INDEX // 2)
        checks.choice("stream", self.stream, streams.KINDS)
        if self.stream == "bootstrap" and self.first_replica % streams.ORDERS:
            raise JsplitError(
                f"first_replica must be a multiple of {streams.ORDERS} for bootstrap "
                f"streams, got {self.first_replica}"
            )
        whole("horizon", 1, MAX_STEPS)
        steps = tuple(checks.integer("checkpoints", x, 1) for x in self.checkpoints)
        if not steps or steps[-1] != self.horizon or [*steps] != sorted({*steps}):
            raise JsplitError(
                f"checkpoints must increase and end with horizon {self.horizon}, got "
                f"{checks.shown(steps)}"
            )
        put("checkpoints", steps)
        for name, kind in (("protocol", Protocol), ("keep", Keep)):
            if not isinstance(getattr(self, name), kind):
                raise JsplitError(
                    f"{name} must be a {kind.__name__}, got "
                    f"{checks.shown(getattr(self, name))}"
                )
        put("seed", checks.seed(self.seed))
        if self.block_size is not None:
            whole("block_size", 1)
        if self.devices is not None:
            given = tuple(self.devices) if isinstance(self.devices, Iterable) else ()
            good = all(isinstance(one, jax.Device) for one in given)
            if not good or not 0 < len(given) == len(set(given)):
                raise JsplitError(
                    "devices must be a list of JAX devices, each once, such as "
                    f"jax.devices(), got {checks.shown(self.devices)}"
                )
            put("devices", given)

    @property
    def orders_per_test_set(self) -> int:
        """Consecutive replicas that run over one resampled test set."""
        return streams.ORDERS if self.stream == "bootstrap" else 1


def log_spaced(horizon: int, number: int) -> Sequence[int]:
    """Returns at most `number` steps of 1..T, log-spaced."""
    return np.geomspace(1, horizon, number).round().astype(np.int64).tolist()


def evenly_spaced(horizon: int, number: int) -> Sequence[int]:
    """Returns at most `number` steps of 1..T, evenly spaced."""
    return np.linspace(0, horizon, number + 1)[1:].round().astype(np.int64).tolist()


def with_end(steps: Sequence[int], horizon: int) -> tuple[int, ...]:
    """Returns the different steps in order, T among them."""
    return tuple(np.unique(np.append(steps, horizon).clip(1)).tolist())
