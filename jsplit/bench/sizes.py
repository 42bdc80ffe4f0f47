"""How much a benchmark does, as frozen dataclasses; `jsplit bench` is made from them.

Here: sizes, their defaults and checks. Not here: what is measured (the files beside
this one). Does not load flax.
"""

import dataclasses

from jsplit import checks

MIN_TOKENS = 8  # of the shortest text; lengths are spread evenly up to the longest


@dataclasses.dataclass(frozen=True)
class Replays:
    """What the engine and the policies replay.

    Attributes:
        num_samples: samples of the trace, also the steps of a run, >= 1.
        num_exits: exits of the trace, >= 2.
        num_replicas: replicas, >= 1.
        repeats: timed runs, >= 1; the median counts.
        seed: seed of the trace and of every replay, >= 0.
    """

    num_samples: int = 25_000
    num_exits: int = 12
    num_replicas: int = 4_096
    repeats: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        checks.integer("num_samples", self.num_samples, 1)
        checks.integer("num_exits", self.num_exits, 2)
        checks.integer("num_replicas", self.num_replicas, 1)
        checks.integer("repeats", self.repeats, 1)
        checks.seed(self.seed)


@dataclasses.dataclass(frozen=True)
class Passes:
    """What the networks compute.

    Attributes:
        batch_size: samples of a batch, a multiple of the number of devices.
        length: tokens of the longest text, >= 8.
        image_size: height and width of images, >= 1; from 64 on MobileNetV2 has its
            ImageNet stem, below the one for CIFAR.
        num_layers: layers of BERT, >= 2.
        repeats: timed rounds at least, >= 1; the median counts.
        seconds: rounds also go on until they took so long together, >= 0: three of a
            pass of 40 ms say little.
        seed: seed of weights and inputs, >= 0.
    """

    batch_size: int = 32
    length: int = 128
    image_size: int = 32
    num_layers: int = 12
    repeats: int = 3
    seconds: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks.integer("batch_size", self.batch_size, 1)
        checks.integer("length", self.length, MIN_TOKENS)
        checks.integer("image_size", self.image_size, 1)
        checks.integer("num_layers", self.num_layers, 2)
        checks.integer("repeats", self.repeats, 1)
        checks.number("seconds", self.seconds, 0.0)
        checks.seed(self.seed)
