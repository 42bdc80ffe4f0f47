"""Speed of one pass over all exits against the other ways to record, in one run.

Here: the ways, their times and ratios. Not here: the engine's speed (`bench`).
Called by `jsplit bench models`.
"""

import dataclasses
import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jsplit import checks
from jsplit.bench.rivals import Way, rivals_of
from jsplit.models import BERT, MultiExit, make_model
from jsplit.models.compilation import compiler_options
from jsplit.models.registry import REGISTRY
from jsplit.types import JsplitError

ALL, FINAL, PREFIXES = "all exits", "final exit only", "each exit by its own pass"
BERT_BASE = {"vocab_size": 30_522, "hidden": 768, "num_heads": 12}
MIN_TOKENS = 8  # of the shortest text; lengths are spread evenly up to the longest
# Images from this size on go through MobileNetV2's own stem, smaller ones through the
# one for CIFAR.
IMAGENET_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to compute a network's exits."""

    network: str
    way: str
    seconds: float  # median wall time of a batch
    cpu_seconds: float  # median time of all cores: tells more where others compute
    ratio: float  # wall time over that of all exits
    cpu_ratio: float


def measure_models(
    names: Sequence[str] = ("bert", "mobilenet_v2"),
    *,
    batch_size: int = 32,
    length: int = 128,
    image_size: int = 32,
    repeats: int = 3,
    seconds: float = 5.0,
    seed: int = 0,
    bert: dict[str, Any] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Times passes over one batch, split over all devices as in a recording.

    The ways take turns, so that a slow minute of the machine hits all of them. Where
    torch (and for BERT, transformers) is installed, PyTorch runs BERT and MobileNetV2
    with the same weights, on as many threads as there are CPU devices, and computes the
    final exit only.

    Args:
        names: Networks, see `model_names()`.
        batch_size: Samples, a multiple of the number of devices.
        length: Tokens of the longest text.
        image_size: Height and width of images; from 64 on MobileNetV2 has its ImageNet
            stem, below the one for CIFAR.
        repeats: Timed rounds at least, the median of which counts.
        seconds: Rounds also go on until they took so long together, >= 0: three of a
            pass of 40 ms say little.
        seed: Of weights and inputs, >= 0.
        bert: Arguments of `BERT`; by default those of BERT-base.
        report: Called with a line as each network and round is ready.

    Returns:
        One row per network and way.

    Raises:
        JsplitError: A network is unknown, `batch_size` cannot be split, or a size is
            out of range.
    """
    repeats = checks.integer("repeats", repeats, 1)
    seconds = checks.number("seconds", seconds, 0)
    batch_size = checks.integer("batch_size", batch_size, 1)
    if batch_size % jax.device_count():
        raise JsplitError(
            f"batch_size must be a multiple of {jax.device_count()}, the number of "
            f"devices, got {batch_size}"
        )
    for name in names:
        checks.choice("networks", name, REGISTRY)
    rows = []
    for name in names:
        if REGISTRY[name] is BERT:
            checks.integer("length", length, MIN_TOKENS)
            sizes = {**BERT_BASE, "max_length": max(512, length), **(bert or {})}
            model = BERT(2, **sizes, rngs=nnx.Rngs(seed))
            batch = _texts(batch_size, length, sizes["vocab_size"], seed)
        else:
            size = checks.integer("image_size", image_size, 1)
            model = _image_model(name, size, seed)
            shape = (batch_size, size, size, 3)
            batch = np.random.default_rng(seed).random(shape, np.float32)
        rivals = rivals_of(model, batch, report)  # gives the model its weights
        ways = {**_ways(model, batch), **rivals}
        rows += _measure(name, ways, repeats, seconds, report)
    return rows


def _measure(
    name: str,
    ways: dict[str, Way],
    repeats: int,
    seconds: float,
    report: Callable[[str], None],
) -> list[Row]:
    for run in ways.values():
        run()  # compiles, warms up
    report(f"{name}: compiled")
    rounds: list[np.ndarray] = []  # [way, (wall, cores)]
    while len(rounds) < repeats or sum(one[:, 0].sum() for one in rounds) < seconds:
        rounds.append(np.array([_seconds(run) for run in ways.values()]))
        report(f"{name}: round {len(rounds)} done")
    times = np.array(rounds)
    median = np.median(times, axis=0)
    # Ratios within a round, then their median: what disturbs a round cancels.
    ratio = np.median(times / times[:, :1], axis=0)
    return [
        Row(name, way, *map(float, [*median[j], *ratio[j]]))
        for j, way in enumerate(ways)
    ]


def _seconds(run: Way) -> np.ndarray:
    """Returns how long a pass takes, by the clock and of all cores together."""
    start = np.array([time.perf_counter(), time.process_time()])
    run()
    return np.array([time.perf_counter(), time.process_time()]) - start


def _ways(model: MultiExit, batch: np.ndarray) -> dict[str, Way]:
    """Returns the ways to get exits; all of them end on the host, as a recording."""
    last = model.num_exits
    devices = np.array(jax.devices())
    mesh = Mesh(devices, ("batch",))
    same, split = PartitionSpec(), PartitionSpec("batch")
    placed = jax.device_put(model, NamedSharding(mesh, same))

    def way(function: Callable[[MultiExit, Any], Any]) -> Way:
        on_devices = jax.jit(
            jax.shard_map(
                function,
                mesh=mesh,
                in_specs=(same, split),
                out_specs=split,
                check_vma=False,
            ),
            compiler_options=compiler_options(),
        )
        sharding = NamedSharding(mesh, split)
        return lambda: np.asarray(on_devices(placed, jax.device_put(batch, sharding)))

    def one_exit(exit: int) -> Way:
        return way(lambda model, x: model.heads[exit - 1](model.head(x, exit)))

    passes = [one_exit(exit) for exit in range(1, last + 1)]
    plain = jax.jit(lambda model, x: model(x))
    return {
        ALL: way(lambda model, x: model(x)),
        FINAL: passes[-1],
        PREFIXES: lambda: [run() for run in passes],
        "all exits, one device, no options": lambda: np.asarray(plain(model, batch)),
    }


def _image_model(name: str, size: int, seed: int) -> MultiExit:
    takes = inspect.signature(REGISTRY[name].__init__).parameters
    choices = {
        "in_channels": 3,
        "stem": "imagenet" if size >= IMAGENET_SIZE else "cifar",
    }
    return nnx.view(
        make_model(
            name,
            num_classes=10,
            rngs=nnx.Rngs(seed),
            **{name: choice for name, choice in choices.items() if name in takes},
        ),
        deterministic=True,
        use_running_average=True,
        raise_if_not_found=False,
    )


def _texts(batch_size: int, length: int, vocab_size: int, seed: int) -> np.ndarray:
    """Returns random texts [B, 2, length] whose lengths are spread evenly."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, vocab_size, (batch_size, length))
    ends = np.linspace(MIN_TOKENS, length, batch_size).astype(int)
    ids = np.where(np.arange(length) < ends[:, None], ids, 0)
    return np.stack([ids, np.zeros_like(ids)], axis=1).astype(np.int32)
