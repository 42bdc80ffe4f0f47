"""Training all exits of a network together.

Here: `loop` (epochs, early stopping), `interruption` (by signals), `step` (one batch on
all devices), `loss`, `optimizer`, `settings` (every choice that changes the weights),
`checkpoint`, `history`, and `job`, which makes a folder from what a `request` names.
Not here: networks (`models`), data (`data`), what to do with a trained network
(`recording`).
Loads flax and optax when `train` is first used.
"""

from typing import TYPE_CHECKING

from jsplit.extras import lazily
from jsplit.training.history import TrainLog
from jsplit.training.settings import PRESETS, Settings, make_settings

if TYPE_CHECKING:
    from jsplit.training.interruption import Interrupted
    from jsplit.training.loop import train

__all__ = [
    "PRESETS",
    "Interrupted",
    "Settings",
    "TrainLog",
    "make_settings",
    "train",
]

if not TYPE_CHECKING:  # which would take any misspelt name for an object
    __getattr__ = lazily(__name__, {"Interrupted": "interruption", "train": "loop"})


def __dir__() -> list[str]:
    return sorted(__all__)
