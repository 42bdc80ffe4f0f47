"""Breaks a copy of jsplit in one place after another: the tests must notice each.

Not collected by pytest. Run with what the tests need installed:
python tests/mutants.py
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
COPIED = ("jsplit", "tests", "README.md", "pyproject.toml")


class Mutant(NamedTuple):
    """One change and the test that must fail by it."""

    change: str  # what it means
    file: str
    old: str  # occurs once in the file
    new: str
    test: str


MUTANTS = (
    Mutant(
        "sums forget their rounding errors",
        "jsplit/engine/reduce.py",
        "return Pair(high, pair.low + error)",
        "return Pair(high, pair.low)",
        "tests/engine/test_reduce.py",
    ),
    Mutant(
        "training on what is held out",
        "jsplit/training/loop.py",
        "return np.sort(rows[count:]), np.sort(rows[:count])",
        "return np.sort(rows), np.sort(rows[:count])",
        "tests/training/test_training.py::"
        "test_every_epoch_shows_what_is_not_held_out_once_in_an_order_of_its_own",
    ),
    Mutant(
        "the same order in every epoch",
        "jsplit/training/loop.py",
        "_random(self.settings, ORDER, epoch)",
        "_random(self.settings, ORDER)",
        "tests/training/test_training.py::"
        "test_every_epoch_shows_what_is_not_held_out_once_in_an_order_of_its_own",
    ),
    Mutant(
        "parts of different checkpoints are joined",
        "jsplit/results/joining.py",
        'for name in ("policy", "checkpoint"):',
        'for name in ("policy",):',
        "tests/evaluation/test_until.py::test_parts_that_do_not_continue_are_refused",
    ),
    Mutant(
        "confidences beyond rounding are accepted",
        "jsplit/traces/arrays.py",
        "ROUNDING = 1e-6",
        "ROUNDING = 1e-4",
        "tests/traces/test_trace.py",
    ),
    Mutant(
        "failures below 0 are drawn from",
        "jsplit/policies/bayes.py",
        "jnp.maximum(state.known - total, 0)",
        "(state.known - total)",
        "tests/policies/test_selectors.py::"
        "test_beta_thompson_draws_although_rounding_lifts_a_mean_above_1",
    ),
    Mutant(
        "no table of policies",
        "README.md",
        "| `splitee` |",
        "| splitee |",
        "tests/policies/test_policies.py::test_readme_lists_every_policy",
    ),
)


def passes(tree, test):
    """Whether a test of a tree passes; ends the script where it cannot run."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", test],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1):  # failed or not: anything else is no answer
        sys.exit(f"{test} did not run:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def main():
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder, "tree")
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            tree.mkdir(exist_ok=True)
            copy(ROOT / name, tree / name)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{folder}/compiled")
        for test in sorted({mutant.test for mutant in MUTANTS}):
            if not passes(tree, test):
                sys.exit(f"{test} fails without a mutant")
        for mutant in MUTANTS:
            file = tree / mutant.file
            text = file.read_text("utf-8")
            if text.count(mutant.old) != 1:
                sys.exit(f"{mutant.file} does not hold {mutant.old!r} once")
            file.write_text(text.replace(mutant.old, mutant.new), "utf-8")
            if passes(tree, mutant.test):
                survivors.append(mutant.change)
            file.write_text(text, "utf-8")
            noticed = "survives" if mutant.change in survivors else "noticed"
            print(f"{mutant.change}: {noticed}", flush=True)
    if survivors:
        sys.exit(f"{len(survivors)} of {len(MUTANTS)} mutants survive")


if __name__ == "__main__":
    main()
