"""Dense against predefined-sparse perceptrons on MNIST: accuracy, bytes, operations.

    python experiments/predefined_sparsity/run.py --data-dir DIR --out results.md

DIR holds MNIST as TensorFlow Datasets prepares it. Each network is first trained with
every trial's settings on a part of the training images. The settings that are best on
the rest serve all seeds, which learn from all training images and are judged once, on
the test set; `--choose` ends before that. Every finished network is added to a JSON
file beside the table, and a second run goes on from there.
"""

import argparse
import json
import pathlib
import sys
import time
import tomllib

import numpy as np
import scipy.stats
from flax import nnx

import jsplit
from jsplit.data import load
from jsplit.models import SparseMLP, storage_bytes
from jsplit.models.sparse.storage import halves
from jsplit.recording import measure_layers

HERE = pathlib.Path(__file__).parent
HEADER = """\
| network | weights | exit 1, % | exit 2, % | head, bytes | tail, bytes \
| head, FLOPs | tail, FLOPs |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=pathlib.Path, default=HERE / "config.toml")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "results.md")
    parser.add_argument("--choose", action="store_true", help="choose settings only")
    options = parser.parse_args()
    config = tomllib.loads(options.config.read_text(encoding="utf-8"))
    seeds, level = config.pop("seeds"), config.pop("level")
    training, choice = config.pop("training"), config.pop("choice")
    finished = Finished(options.out.with_suffix(".json"))

    def data(split):
        return load("mnist", split, options.data_dir)

    parts = []
    for pair in config.values():
        networks = {kind: pair[kind] for kind in ("dense", "sparse")}
        splits = data(choice["learn"]), data(choice["judge"])
        tried = [training | one for one in choice["trials"]]
        trials = {
            kind: [finished.run(network, one, choice["seed"], *splits) for one in tried]
            for kind, network in networks.items()
        }
        heading = f"## {pair['what'][0].upper()}{pair['what'][1:]}\n"
        parts += [heading, trials_table(choice["trials"], trials)]
        if options.choose:
            continue
        splits = data("train"), data("test")
        results = {
            kind: [
                finished.run(network, tried[best(trials[kind])], seed, *splits)
                for seed in seeds
            ]
            for kind, network in networks.items()
        }
        parts.append(table(results, level))
    options.out.write_text("\n".join(parts), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


class Finished:
    """What is known of the networks trained so far, kept in a file."""

    def __init__(self, path):
        self.path = path
        self.runs = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def run(self, network, settings, seed, train, judged):
        """Returns what `run` does, from the file if it is there."""
        splits = [train.split, judged.split]
        key = json.dumps([network, settings, seed, *splits], sort_keys=True)
        if key not in self.runs:
            self.runs[key] = run(network, settings, seed, train, judged)
            self.path.write_text(json.dumps(self.runs, indent=1) + "\n", "utf-8")
            print(key, self.runs[key]["accuracy"], file=sys.stderr, flush=True)
        return self.runs[key]


def best(runs):
    """Returns which run is most accurate at the last exit; the first, if several."""
    return int(np.argmax([one["accuracy"][-1] for one in runs]))


def run(network, settings, seed, train, judged):
    """Trains one network and returns what is said about it."""
    started = time.perf_counter(), time.process_time()
    model = SparseMLP(10, pattern_seed=seed, rngs=nnx.Rngs(seed), **network)
    jsplit.train(
        model, train.inputs, train.labels, **settings, seed=seed, progress=False
    )
    trace = jsplit.record(model, judged)
    stored = storage_bytes(model)
    layer, head = (
        np.add(stored[f"{name}_value_bytes"], stored[f"{name}_index_bytes"])
        for name in ("layer", "head")
    )
    measured = measure_layers(model, judged.inputs[:1])
    return {
        "accuracy": trace.correct.mean(axis=0).tolist(),
        "weights": num_weights(model),
        "bytes": [half.tolist() for half in halves(layer, head)],
        "flops": [
            half.tolist()
            for half in halves(measured["layer_flops"], measured["head_flops"])
        ],
        "wall_seconds": time.perf_counter() - started[0],
        "cpu_seconds": time.process_time() - started[1],
    }


def num_weights(model):
    """Weights on the way to the last exit, biases apart, as the paper counts them."""
    state = nnx.state([*model.blocks, model.heads[-1]], nnx.Param)
    leaves = nnx.to_flat_state(state)
    return sum(leaf[...].size for path, leaf in leaves if path[-1] != "bias")


def interval(values, level):
    """Returns mean and half-width, Student t over seeds."""
    quantile = scipy.stats.t.ppf(0.5 + level / 2, len(values) - 1)
    spread = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    return np.mean(values, axis=0), quantile * spread


def trials_table(settings, trials):
    """Returns the held-out accuracy of every trial at the last exit in Markdown."""
    names = list(settings[0])
    lines = [
        f"| {' | '.join([*names, *trials])} |\n",
        f"|{' --- |' * (len(names) + len(trials))}\n",
    ]
    for i, one in enumerate(settings):
        cells = [f"{one[name]:g}" for name in names]
        for runs in trials.values():
            text = f"{100 * runs[i]['accuracy'][-1]:.2f}"
            cells.append(f"**{text}**" if i == best(runs) else text)
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def table(results, level):
    """Returns one comparison in Markdown, split 1."""
    lines = [HEADER]
    for kind, runs in results.items():
        mean, half = interval([100 * np.array(one["accuracy"]) for one in runs], level)
        cells = [f"{m:.2f} ± {h:.2f}" for m, h in zip(mean, half, strict=True)]
        first = runs[0]
        cells += [f"{half[0]:,.0f}" for half in (*first["bytes"], *first["flops"])]
        lines.append(f"| {kind} | {first['weights']:,} | {' | '.join(cells)} |\n")
    dense, sparse = (results[kind] for kind in ("dense", "sparse"))
    # Seeds of the two have nothing in common, so they are not paired: Welch.
    gaps = []
    for exit_ in range(2):
        a, b = (
            [100 * one["accuracy"][exit_] for one in runs] for runs in (sparse, dense)
        )
        test = scipy.stats.ttest_ind(a, b, equal_var=False)
        low, high = test.confidence_interval(level)
        gaps.append(f"{np.mean(a) - np.mean(b):+.2f} [{low:+.2f}, {high:+.2f}]")
    ratios = [
        f"{x[0] / y[0]:.2f}"
        for name in ("bytes", "flops")
        for x, y in zip(dense[0][name], sparse[0][name], strict=True)
    ]
    cells = [f"{dense[0]['weights'] / sparse[0]['weights']:.2f}", *gaps, *ratios]
    lines.append(f"| difference; dense / sparse | {' | '.join(cells)} |\n")
    runs = [one for some in results.values() for one in some]
    lines.append(
        f"\nMean ± half of the {level:.0%} t interval over {len(sparse)} seeds; "
        f"{sum(one['cpu_seconds'] for one in runs):.0f} s of CPU in all.\n"
    )
    return "".join(lines)


if __name__ == "__main__":
    main()
