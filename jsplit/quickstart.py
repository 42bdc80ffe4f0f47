"""The whole way in one minute: train, record, replay, compare, on real images.

Here: the story that `jsplit quickstart` tells, made of public functions only, so that a
reader can copy any part of it.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

import jsplit
from jsplit.data import distort, load
from jsplit.models import CNN
from jsplit.policies.registry import BASIC_POLICIES, make_policy
from jsplit.recording import record
from jsplit.report import cost_accuracy, regret_curves, to_csv, to_markdown
from jsplit.seeds import key_of
from jsplit.training import train
from jsplit.writing import write_text

STREAMS = ("shuffle", "bootstrap")
BLUR_SIGMA = 0.75  # pixels; digits are 8 x 8
NOISE_STD = 0.2  # pixels range over [0, 1]
NUM_CHECKPOINTS = 20  # of 900 steps; keeps six result files at a few megabytes each
CURVES = ("splitee", "splitee_s", "ucb1", "random_exit", "final_exit", "offload_all")


@dataclasses.dataclass(frozen=True)
class Written:
    """What a quickstart leaves in its folder, and the tables it shows."""

    out: pathlib.Path
    files: list[str]
    accuracy: dict[str, list[float]]  # of every exit, by test set
    tables: dict[tuple[str, str], Any]  # (test set, stream) -> summary


def run(
    out: pathlib.Path,
    *,
    num_replicas: int,
    num_epochs: int,
    offload: float,
    seed: int,
    progress: bool,
    say: Callable[[str], None],
) -> Written:
    """Trains on digits, records three test sets, replays policies, writes all.

    Args:
        out: the folder to write into, made if need be.
        num_replicas: replicas of every policy and stream.
        num_epochs: training epochs.
        offload: cost of shipping a sample, in SplitEE's units (0.5 = 5 lambda).
        seed: seed of everything.
        progress: show progress bars.
        say: called with a line before each stage.

    Returns:
        What was written and found.
    """
    say("training a 6-exit CNN on handwritten digits")
    traces = record_digits(num_epochs=num_epochs, seed=seed, progress=progress)
    num_exits = next(iter(traces.values())).num_exits
    policies = compared_policies(num_exits)
    costs = jsplit.Costs.splitee(num_exits, offload=offload)
    files, tables, results = [], {}, {}
    for name, trace in traces.items():
        trace.save(out / f"trace-{name}.npz")
        files.append(f"trace-{name}.npz")
        for stream in STREAMS:
            say(
                f"replaying {len(policies)} policies on {name} digits, {stream} streams"
            )
            result = jsplit.evaluate(
                trace,
                policies,
                costs,
                num_replicas=num_replicas,
                stream=stream,
                seed=seed,
                num_checkpoints=NUM_CHECKPOINTS,
                progress=progress,
            )
            jsplit.save_result(result, out / f"result-{name}-{stream}.nc.gz")
            files.append(f"result-{name}-{stream}.nc.gz")
            results[name, stream] = result
            tables[name, stream] = jsplit.summarize(result)
    say("drawing")
    files += write_report(out, tables, results)
    accuracy = {name: trace.accuracy.tolist() for name, trace in traces.items()}
    return Written(out, files, accuracy, tables)


def record_digits(
    *, num_epochs: int, seed: int, progress: bool
) -> dict[str, jsplit.Trace]:
    """Returns traces of a freshly trained CNN on pristine, blurred and noisy digits."""
    training, test = load("digits", "train"), load("digits", "test")
    model = CNN(training.num_classes, rngs=nnx.Rngs(seed))
    train(
        model,
        training.inputs,
        training.labels,
        num_epochs=num_epochs,
        seed=seed,
        progress=progress,
    )
    noise_key = jax.random.fold_in(key_of(seed), 1)
    test_sets = {
        "pristine": test.inputs,
        "blurred": distort.gaussian_blur(test.inputs, BLUR_SIGMA),
        "noisy": distort.gaussian_noise(test.inputs, NOISE_STD, noise_key),
    }
    return {
        name: record(
            model,
            (images, test.labels),
            dataset=f"digits, {name}",
            split=test.split,
            seed=seed,
        )
        for name, images in test_sets.items()
    }


def compared_policies(num_exits: int) -> list[jsplit.Policy]:
    """Returns `BASIC_POLICIES`, the fixed split at every depth below L."""
    policies = []
    for name in BASIC_POLICIES:
        if name == "fixed_split":
            depths = range(1, num_exits)
            policies += [make_policy(name, depth=depth) for depth in depths]
        else:
            policies.append(make_policy(name))
    return policies


def write_report(
    out: pathlib.Path,
    tables: dict[tuple[str, str], Any],
    results: dict[tuple[str, str], Any],
) -> list[str]:
    """Writes tables as CSV and Markdown and figures; returns the files' names."""
    files = []
    for (name, stream), table in tables.items():
        to_csv(table, out / f"table-{name}-{stream}.csv")
        files.append(f"table-{name}-{stream}.csv")
    sections = [
        f"## {name} digits, {stream} streams\n\n{to_markdown(table)}"
        for (name, stream), table in tables.items()
    ]
    write_text(out / "tables.md", "\n\n".join(sections) + "\n")
    files.append("tables.md")
    for name in dict.fromkeys(name for name, _ in tables):
        cost_accuracy(
            tables[name, "shuffle"],
            out / f"cost-accuracy-{name}.png",
            behind=tables[name, "bootstrap"],
        )
        result = results[name, "shuffle"]
        regret_curves(result, out / f"regret-{name}.png", policies=CURVES)
        files += [f"cost-accuracy-{name}.png", f"regret-{name}.png"]
    return files
