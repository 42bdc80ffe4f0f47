"""`jsplit bench`."""

import dataclasses
import sys
from typing import Any, Literal

import tyro

from jsplit import checks
from jsplit.commands.common import AsJson, Seed, print_json
from jsplit.types import JsplitError

# Options of each part: default and least value.
ENGINE = {"num_samples": (25_000, 1), "num_exits": (12, 2), "num_replicas": (4096, 1)}
MODELS = {
    "batch_size": (32, 1),
    "length": (128, 8),
    "image_size": (32, 1),
    "num_layers": (12, 2),
}


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure the engine, or the networks, against the ways they are usually written.

    engine: SplitEE and SplitEE-S with shuffles and all per-replica results, beside
    idiomatic JAX (`vmap(scan)` with `jax.random.permutation`), NumPy and a Python loop.

    models: one pass over all exits, beside a pass for the final exit only, a pass per
    exit, and PyTorch's MobileNetV2 and BERT where torch and transformers are installed.

    policies: a step of every policy beside UCB1's.

    Each runs in one process and takes minutes; close other programs.
    """

    what: tyro.conf.Positional[Literal["engine", "models", "policies"]] = "engine"
    """What to measure."""
    num_samples: int | None = None
    """engine, policies: samples, also the steps of a run (25,000)."""
    num_exits: int | None = None
    """engine, policies: exits (12)."""
    num_replicas: int | None = None
    """engine, policies: replicas (4,096)."""
    policies: tuple[str, ...] | None = None
    """policies: their names; all by default."""
    networks: tuple[str, ...] | None = None
    """models: names of networks (bert mobilenet_v2)."""
    batch_size: int | None = None
    """models: samples of a batch (32)."""
    length: int | None = None
    """models: tokens of the longest text (128)."""
    image_size: int | None = None
    """models: height and width of images; ImageNet's stem from 64 (32)."""
    num_layers: int | None = None
    """models: layers of BERT (12)."""
    repeats: int = 3
    """Timed runs; the median counts. models: at least, and for 5 seconds."""
    seed: Seed = 0
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the benchmark."""
        import jax

        checks.integer("repeats", self.repeats, 1)
        checks.seed(self.seed)
        measure = {
            "engine": self._engine,
            "models": self._models,
            "policies": self._policies,
        }[self.what]
        options = self._options()
        columns, rows = measure(options)
        devices = f"{len(jax.devices())} x {jax.devices()[0].device_kind}"
        if self.as_json:
            rows = [dataclasses.asdict(row) for row in rows]
            print_json({"devices": devices, "options": options, "rows": rows})
            return
        import rich
        from rich.table import Table

        sizes = [f"{name} = {value}" for name, value in options.items()]
        table = Table(*columns, title=", ".join([*sizes, devices]))
        for row in rows:
            cells = dataclasses.astuple(row)
            table.add_row(*(x if isinstance(x, str) else f"{x:,.2f}" for x in cells))
        rich.print(table)

    def _engine(self, options: dict[str, int]) -> tuple[list[str], list[Any]]:
        from jsplit.bench import engine

        rows = engine.measure_engine(
            **options,
            repeats=self.repeats,
            seed=self.seed,
            report=lambda row: print(f"{row.policy}: {row.how} done", file=sys.stderr),
        )
        return ["policy", "how", "ns per replica and step", "times jsplit"], rows

    def _policies(self, options: dict[str, int]) -> tuple[list[str], list[Any]]:
        from jsplit.bench import policies

        rows = policies.measure_policies(
            self.policies,
            **options,
            repeats=self.repeats,
            seed=self.seed,
            report=lambda row: print(
                f"{row.policy}: {row.nanoseconds:.1f} ns, {row.ratio:.2f} times ucb1",
                file=sys.stderr,
            ),
        )
        return ["policy", "ns per replica and step", "times ucb1"], rows

    def _models(self, options: dict[str, int]) -> tuple[list[str], list[Any]]:
        from jsplit.bench import models

        sizes = dict(options)
        bert = {"num_layers": sizes.pop("num_layers")}
        rows = models.measure_models(
            self.networks or ("bert", "mobilenet_v2"),
            **sizes,
            bert=bert,
            repeats=self.repeats,
            seed=self.seed,
            report=lambda line: print(line, file=sys.stderr),
        )
        times = ["seconds", "CPU seconds", "times all exits", "CPU times all exits"]
        return ["network", "way", *times], rows

    def _options(self) -> dict[str, int]:
        """Returns the options of what is measured; refuses those of the rest."""
        parts: dict[str, dict[str, Any]] = {
            "engine": ENGINE,
            "models": {**MODELS, "networks": None},
            "policies": {**ENGINE, "policies": None},
        }
        mine = parts.pop(self.what)
        for other, options in parts.items():
            for name in options.keys() - mine.keys():
                if getattr(self, name) is not None:
                    raise JsplitError(f"{name} belongs to `jsplit bench {other}`")
        chosen = {}
        for name, given in mine.items():
            if given is None:
                continue
            default, low = given
            value = getattr(self, name)
            chosen[name] = checks.integer(
                name, default if value is None else value, low
            )
        return chosen
