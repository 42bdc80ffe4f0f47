"""`jsplit bench`: the engine, the policies or the networks."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import tyro

from jsplit.bench.sizes import Passes, Replays
from jsplit.commands.common import AsJson, print_json


@dataclasses.dataclass(frozen=True)
class Engine:
    """Measure the engine against the ways such replays are usually written.

    SplitEE and SplitEE-S with shuffles and all per-replica results, beside idiomatic
    JAX (`vmap(scan)` with `jax.random.permutation`), NumPy and a Python loop.
    """

    sizes: Annotated[Replays, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=Replays
    )
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the benchmark."""
        from jsplit.bench.engine import measure_engine

        rows = measure_engine(
            self.sizes,
            report=lambda row: print(f"{row.policy}: {row.how} done", file=sys.stderr),
        )
        columns = ["policy", "how", "ns per replica and step", "times jsplit"]
        _show(self.sizes, columns, rows, self.as_json)


@dataclasses.dataclass(frozen=True)
class Policies:
    """Measure a step of every policy beside UCB1's."""

    sizes: Annotated[Replays, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=Replays
    )
    policies: tuple[str, ...] = ()
    """names of policies, see `jsplit policies`; none for all."""
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the benchmark."""
        from jsplit.bench.policies import measure_policies

        rows = measure_policies(
            self.policies,
            self.sizes,
            report=lambda row: print(
                f"{row.policy}: {row.nanoseconds:.1f} ns, {row.ratio:.2f} times ucb1",
                file=sys.stderr,
            ),
        )
        columns = ["policy", "ns per replica and step", "times ucb1"]
        _show(self.sizes, columns, rows, self.as_json)


@dataclasses.dataclass(frozen=True)
class Models:
    """Measure one pass over all exits of a network against the other ways to record.

    Beside a pass for the final exit only, a pass per exit, and PyTorch's MobileNetV2
    and BERT where torch and transformers are installed.
    """

    sizes: Annotated[Passes, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=Passes
    )
    networks: tuple[str, ...] = ("bert", "mobilenet_v2")
    """names of networks."""
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the benchmark."""
        from jsplit.bench.models import measure_models

        rows = measure_models(
            self.networks,
            self.sizes,
            report=lambda line: print(line, file=sys.stderr),
        )
        times = ["seconds", "CPU seconds", "times all exits", "CPU times all exits"]
        _show(self.sizes, ["network", "how", *times], rows, self.as_json)


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure how fast jsplit is, as ratios in one run.

    Each runs in one process and takes minutes; close other programs.
    """

    ACTIONS: ClassVar[dict[str, type]] = {
        "engine": Engine,
        "policies": Policies,
        "models": Models,
    }


def _show(
    sizes: Replays | Passes, columns: Sequence[str], rows: Sequence[Any], as_json: bool
) -> None:
    """Prints the rows, and the sizes and devices that they are of."""
    import jax

    options = dataclasses.asdict(sizes)
    devices = f"{len(jax.devices())} x {jax.devices()[0].device_kind}"
    if as_json:
        found = [dataclasses.asdict(row) for row in rows]
        print_json({"devices": devices, "options": options, "rows": found})
        return
    import rich
    from rich.table import Table

    told = [f"{name} = {value}" for name, value in options.items()]
    table = Table(*columns, title=", ".join([*told, devices]))
    for row in rows:
        cells = dataclasses.astuple(row)
        table.add_row(*(x if isinstance(x, str) else f"{x:,.2f}" for x in cells))
    rich.print(table)
