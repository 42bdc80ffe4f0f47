"""Fixtures shared by all tests: random traces, float64, and the --all flag."""

import contextlib
import importlib
import os
import pathlib
import re
import shutil
import sys
import tempfile

import jax
import numpy as np
import pytest

import jsplit

CACHE = "JAX_COMPILATION_CACHE_DIR"


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="also run tests marked slow")


def pytest_configure(config):
    """Compiles a program once in a run, whichever file or process asks for it.

    A folder named by JAX_COMPILATION_CACHE_DIR is used and kept. Programs found there
    still count as `compilations`: JAX tells of both alike.
    """
    if CACHE not in os.environ:
        folder = tempfile.mkdtemp(prefix="jsplit-tests-")
        os.environ[CACHE] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # XLA cuts a program into 32 parts, one a thread, which together take longer.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_parallel_codegen_split_count=1"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """As many processes as cores, but each may take 2 GB of memory."""
    return min(os.cpu_count() or 1, 4)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--all"):
        return
    skip = pytest.mark.skip(reason="slow; run with --all")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compile():
    """XLA with fewer optimisations: the same arithmetic, half the compile time.

    For modules whose tests compare with other computations within rounding. Not for
    those that ask for equal bits of the engine's programs, compiled as users do: these
    must not find programs that were compiled here.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()


@contextlib.contextmanager
def experiment(name, *beside):
    """The module `run` of an experiment; `beside` are those it imports of its folder.

    Every experiment has one of that name, so none is left behind.
    """
    folder = pathlib.Path(__file__).parents[1] / "experiments" / name
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("run")
        for module in ("run", *beside):
            sys.modules.pop(module)


def random_trace(
    num_samples=300, num_exits=6, *, seed=0, label_seed=None, lossy=False, **meta
):
    """A float64 trace whose confidence and accuracy grow with depth.

    Those of one `label_seed` are of the same samples, whatever the seed.
    """
    rng = np.random.default_rng(seed)
    depth = np.linspace(0.0, 0.4, num_exits)
    confidence = 0.2 + 0.4 * rng.random((num_samples, num_exits)) + depth
    num_classes = 5
    own = rng if label_seed is None else np.random.default_rng(label_seed)
    label = own.integers(0, num_classes, num_samples)
    wrong = rng.random((num_samples, num_exits)) > confidence
    prediction = np.where(wrong, (label[:, None] + 1) % num_classes, label[:, None])
    remote = {}
    if lossy:
        remote["remote_confidence"] = 0.5 + 0.5 * rng.random((num_samples, num_exits))
        remote["remote_correct"] = rng.random((num_samples, num_exits)) < 0.8
    return jsplit.Trace.from_arrays(
        confidence,
        prediction,
        label,
        entropy=rng.exponential(0.5, (num_samples, num_exits)) * (1.2 - depth),
        **remote,
        **meta,
    )


def whole_result(dataset):
    """A result of these variables, and zeros for all others that it needs."""
    sizes = {name: dataset.sizes.get(name, 1) for name in ("policy", "replica")}
    zeros = (tuple(sizes), np.zeros(tuple(sizes.values())))
    lacking = [name for name in jsplit.Result.needs if name not in dataset.variables]
    coords = {name: [0] for name in lacking if name == "checkpoint"}
    variables = {name: zeros for name in lacking if name != "checkpoint"}
    return jsplit.Result(dataset.assign(variables).assign_coords(coords))


def readme_examples():
    """The Python of the README, example by example."""
    text = (pathlib.Path(__file__).parents[1] / "README.md").read_text("utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def policy_of_the_readme():
    """The factory `shrinking` of its section "Add your own"."""
    (source,) = (text for text in readme_examples() if "def shrinking" in text)
    names = {}
    exec(compile(source, "README.md", "exec"), names)
    return names["shrinking"]


@contextlib.contextmanager
def compilations():
    """A list that grows by one with every program that XLA compiles."""
    found = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
