"""How to train, as one frozen dataclass: every choice that changes the weights.

Here: the choices, their checks and the published ones. Not here: what they do
(`training.optimizer`, `training.step`, `training.loop`). Loads neither flax nor optax.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import numpy as np

from jsplit import checks
from jsplit.types import JsplitError

Optimizer = Literal["adamw", "adam", "sgd"]
Decay = Literal["weights", "all"]
Schedule = Literal["cosine", "linear", "constant"]
Augment = Literal["none", "crop", "crop_flip"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The choices of a training; two trainings of equal settings are the same.

    Attributes:
        num_epochs: passes over the data, >= 1.
        batch_size: samples per step, >= 1; at most N are used.
        optimizer: "adamw" takes `weight_decay` times a weight off apart from Adam's
            step; "adam" adds it to the gradient (L2, as PyTorch's Adam does); "sgd"
            does so too and has momentum 0.9.
        learning_rate: highest learning rate, > 0; of the blocks, where the heads have
            their own.
        head_learning_rate: that of the heads, > 0. None: `learning_rate`.
        weight_decay: weight decay, >= 0.
        decay: what decays: "weights" leaves biases and the scales of norms alone,
            "all" does not.
        schedule: how the rate falls from its highest value after the warm-up: along a
            "cosine" or a "linear" ramp to zero, or not at all ("constant").
        warmup: share of all steps in which the rate rises linearly, from 0 to 1.
        clip_norm: gradients longer than this are shortened to it, > 0. None: never.
        exit_weights: weight >= 0 of each exit's loss, one for each of the L exits.
            None: 1 / L each.
        label_smoothing: share of each target spread over all classes, 0 <= s < 1.
        augment: "crop" moves images by up to 4 pixels, "crop_flip" also mirrors half
            of them; for images only.
        bf16: compute in bfloat16, with float32 weights, moments, losses and
            validation. Worth it on accelerators.
        validation: share of the samples held out to measure on, 0 <= share < 1.
        patience: epochs without a lower validation loss after which to stop, >= 1;
            the weights of the best epoch are kept. None: all epochs, last weights.
        max_minutes: stop at this wall time, > 0, all runs of a resumed training
            added up. The weights then depend on the speed of the machine. None: no
            limit.
        seed: seed of the weights, the samples held out, their order, augmentation,
            >= 0.
    """

    num_epochs: int = 30
    batch_size: int = 64
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-2
    head_learning_rate: float | None = None
    weight_decay: float = 1e-4
    decay: Decay = "weights"
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    clip_norm: float | None = None
    exit_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    augment: Augment = "none"
    bf16: bool = False
    validation: float = 0.0
    patience: int | None = None
    max_minutes: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name in ("num_epochs", "batch_size"):
            put(name, checks.integer(name, getattr(self, name), 1))
        put("seed", checks.seed(self.seed))
        if self.patience is not None:
            put("patience", checks.integer("patience", self.patience, 1))
        for name in ("learning_rate", "head_learning_rate", "clip_norm", "max_minutes"):
            value = getattr(self, name)
            if value is not None:
                put(name, _positive(name, value))
        put("weight_decay", checks.number("weight_decay", self.weight_decay, 0.0))
        put("warmup", checks.number("warmup", self.warmup, 0.0, 1.0))
        for name in ("label_smoothing", "validation"):
            value = checks.number(name, getattr(self, name), 0.0, 1.0)
            if value == 1.0:
                raise JsplitError(f"{name} must be below 1, got {value:g}")
            put(name, value)
        for name, kind in (
            ("optimizer", Optimizer),
            ("decay", Decay),
            ("schedule", Schedule),
            ("augment", Augment),
        ):
            checks.choice(name, getattr(self, name), get_args(kind))
        if not isinstance(self.bf16, bool):
            raise JsplitError(f"bf16 must be True or False, got {self.bf16!r}")
        if self.patience is not None and self.validation == 0:
            raise JsplitError(
                f"patience must be None without validation, got {self.patience}: "
                "set validation to the share of samples to hold out"
            )
        if self.exit_weights is not None:
            put("exit_weights", _weights(self.exit_weights))

    def facts(self) -> dict[str, Any]:
        """Returns the choices by name, JSON-able."""
        facts = dataclasses.asdict(self)
        if self.exit_weights is not None:
            facts["exit_weights"] = list(self.exit_weights)
        return facts

    def checked_exit_weights(self, num_exits: int) -> np.ndarray:
        """Returns the [L] float32 weights of the losses of `num_exits` exits.

        Raises:
            JsplitError: if there are not as many as exits.
        """
        if self.exit_weights is None:
            return np.full(num_exits, 1 / num_exits, np.float32)
        if len(self.exit_weights) != num_exits:
            raise JsplitError(
                f"exit_weights must be {num_exits} numbers, one per exit, got "
                f"{checks.shown(self.exit_weights)}"
            )
        return np.asarray(self.exit_weights, np.float32)


Preset = Literal["isplitee", "splitee"]
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    # Facts read from the authors' code; the last exit weight is the final exit's.
    # arXiv 2401.10541: MobileNetV2 with seven exits on pristine images.
    "isplitee": {
        "optimizer": "adam",
        "learning_rate": 1.5e-4,
        "head_learning_rate": 1e-2,
        "weight_decay": 5e-4,
        "decay": "all",  # PyTorch's Adam decays every parameter it is given
        "schedule": "cosine",
        "warmup": 0.0,
        "batch_size": 64,
        "exit_weights": (1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 0.5),
    },
    # arXiv 2309.09195: ElasticBERT with twelve exits, plain sum of the losses.
    "splitee": {
        "optimizer": "adamw",
        "learning_rate": 2e-5,
        "weight_decay": 0.1,
        "schedule": "linear",
        "warmup": 0.06,
        "batch_size": 32,
        "num_epochs": 5,
        "exit_weights": (1.0,) * 12,
    },
}


def make_settings(preset: str | None = None, **changes: Any) -> Settings:
    """Returns settings: the defaults, then a preset's, then the given ones.

    Args:
        preset: one of `PRESETS`, or None.
        **changes: fields of `Settings`.

    Raises:
        JsplitError: if there is no such preset or setting, or a value is out of range.

    Example:
        >>> from jsplit.training.settings import make_settings
        >>> settings = make_settings("isplitee", num_epochs=3)
        >>> settings.optimizer, settings.head_learning_rate, settings.num_epochs
        ('adam', 0.01, 3)
    """
    start: Mapping[str, Any] = {}
    if preset is not None:
        checks.choice("preset", preset, PRESETS)
        start = PRESETS[cast(Preset, preset)]
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in changes:
        checks.choice("training setting", name, known)
    return Settings(**{**start, **changes})


def _positive(name: str, value: Any) -> float:
    value = checks.number(name, value)
    if value <= 0:
        raise JsplitError(f"{name} must be > 0, got {value}")
    return value


def _weights(value: Any) -> tuple[float, ...]:
    try:
        weights = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        weights = np.empty(0)  # not numbers: refused below
    good = weights.ndim == 1 and len(weights) >= 2 and np.isfinite(weights).all()
    if not good or (weights < 0).any() or weights.sum() == 0:
        raise JsplitError(
            "exit_weights must be finite numbers >= 0, one per exit and not all 0, "
            f"got {checks.shown(value)}"
        )
    return tuple(weights.tolist())
