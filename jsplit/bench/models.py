"""Speed of one pass over all exits against the other ways to record, in one run.

Here: ours, times and ratios. Not here: the rivals (`bench.rivals`), the engine's speed
(`bench.engine`).
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
from jsplit.bench.sizes import MIN_TOKENS, Passes
from jsplit.models import BERT, MultiExit, make_model
from jsplit.models.compilation import compiler_options
from jsplit.models.registry import REGISTRY
from jsplit.types import JsplitError

ALL, FINAL, PREFIXES = "all exits", "final exit only", "each exit by its own pass"
BERT_BASE = {"vocab_size": 30_522, "hidden": 768, "num_heads": 12}
NETWORKS = ("bert", "mobilenet_v2")
DEFAULT = Passes()
# Images from this size on go through MobileNetV2's own stem, smaller ones through the
# one for CIFAR.
IMAGENET_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to compute a network's exits."""

    network: str
    how: str
    seconds: float  # median wall time of a batch
    cpu_seconds: float  # median time of all cores: tells more where others compute
    ratio: float  # wall time over that of all exits
    cpu_ratio: float


def measure_models(
    names: Sequence[str] = NETWORKS,
    sizes: Passes = DEFAULT,
    *,
    bert: dict[str, Any] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Times passes over one batch, split over all devices as in a recording.

    The ways to compute take turns, so that a slow minute of the machine hits all of
    them. Where torch (and for BERT, transformers) is installed, PyTorch runs BERT and
    MobileNetV2 with the same weights, on as many threads as there are CPU devices, and
    computes the final exit only.

    Args:
        names: networks, see `model_names()`.
        sizes: what they compute, and how often.
        bert: arguments of `BERT` other than those of BERT-base.
        report: called with a line as each network and round is ready.

    Returns:
        One row per network and way to compute its exits.

    Raises:
        JsplitError: if a network is unknown, or the batch cannot be split.
    """
    if sizes.batch_size % jax.device_count():
        raise JsplitError(
            f"batch_size must be a multiple of {jax.device_count()}, the number of "
            f"devices, got {sizes.batch_size}"
        )
    for name in names:
        checks.choice("networks", name, REGISTRY)
    rows = []
    for name in names:
        if REGISTRY[name] is BERT:
            shape = {
                **BERT_BASE,
                "num_layers": sizes.num_layers,
                "max_length": max(512, sizes.length),
                **(bert or {}),
            }
            model = BERT(2, **shape, rngs=nnx.Rngs(sizes.seed))
            texts = sizes.batch_size, sizes.length, shape["vocab_size"], sizes.seed
            batch = _texts(*texts)
        else:
            model = _image_model(name, sizes.image_size, sizes.seed)
            pixels = (sizes.batch_size, sizes.image_size, sizes.image_size, 3)
            batch = np.random.default_rng(sizes.seed).random(pixels, np.float32)
        rivals = rivals_of(model, batch, report)  # gives the model its weights
        ways = {**_ways(model, batch), **rivals}
        rows += _measure(name, ways, sizes.repeats, sizes.seconds, report)
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
        Row(name, how, *map(float, [*median[j], *ratio[j]]))
        for j, how in enumerate(ways)
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
