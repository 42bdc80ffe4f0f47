"""Sweeps by workers: the same numbers, whoever replays and whoever dies."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import pytest
from small_sweeps import one_place_each, swept  # noqa: F401

import jsplit
from jsplit.policies.simple import Always
from jsplit.sweeps import Workers, work
from jsplit.types import JsplitError


@pytest.fixture(scope="module")
def alone():
    return swept()


@pytest.fixture(scope="module")
def two():
    with Workers(2) as workers:
        yield workers


def test_processes_give_the_same_bits(alone, two, tmp_path):
    runs = swept(executor=two, out=tmp_path)
    assert runs.data.equals(alone.data)
    assert len([*tmp_path.glob("*.nc.gz")]) == 5
    assert not [*tmp_path.glob("*.taken")]
    assert swept(out=tmp_path).data.equals(alone.data)


def test_each_process_has_its_share_of_the_cores(two):
    number = two.submit(_num_devices).result()
    assert number == max(1, (os.cpu_count() or 1) // 2)


def _num_devices():
    import jax

    return len(jax.devices())


def test_threads_give_the_same_bits(alone):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert swept(executor=pool).data.equals(alone.data)


class _Dying(Workers):
    """Two of its calls kill the process that does them."""

    calls = 0

    def submit(self, fn, /, *args, **kwargs):
        self.calls += 1
        return super().submit(_die if self.calls in (2, 4) else fn, *args, **kwargs)


def test_a_worker_that_dies_is_replaced(alone, capfd):
    with _Dying(1) as workers:
        runs = swept(executor=workers, progress=True)
        with pytest.raises(concurrent.futures.BrokenExecutor, match="worker died"):
            Workers.submit(workers, _die).result()
        assert Workers.submit(workers, divmod, 17, 5).result() == (3, 2)
    assert runs.data.equals(alone.data)
    assert capfd.readouterr().err.count("handed out again") == 2


def _die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    found = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert found.returncode == -signal.SIGKILL
    pid = int(found.stdout)
    deadline = time.monotonic() + 20
    while pathlib.Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not pathlib.Path(f"/proc/{pid}").exists()


# A parent that is killed while its worker has much to do.
SCRIPT = """
import os, signal, time
from jsplit.sweeps.workers import Workers

if __name__ == "__main__":
    workers = Workers(1)
    print(workers.submit(os.getpid).result(), flush=True)
    workers.submit(time.sleep, 600)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_at_once_when_the_work_fails():
    start, waiting = time.monotonic(), []
    with contextlib.suppress(KeyboardInterrupt), Workers(1) as workers:
        workers.submit(os.getpid).result()
        waiting += [workers.submit(time.sleep, 600) for _ in range(3)]
        raise KeyboardInterrupt
    assert time.monotonic() - start < 300
    assert [future.done() for future in waiting] == [True] * 3


class _Broken(concurrent.futures.Executor):
    """Breaks as a pool does whose process died: in flight, and for good."""

    def __init__(self):
        self.calls = 0

    def submit(self, fn, /, *args, **kwargs):
        self.calls += 1
        if self.calls > 2:
            raise concurrent.futures.BrokenExecutor("for good")
        future = concurrent.futures.Future()
        future.set_exception(concurrent.futures.BrokenExecutor("a process died"))
        return future


def test_where_a_pool_is_broken_the_rest_is_done_here(alone, capfd):
    runs = swept(executor=_Broken(), progress=True)
    assert runs.data.equals(alone.data)
    said = capfd.readouterr().err
    assert said.count("handed out again") == 2
    assert said.count("the rest is done in this process") == 1


class _Failing(concurrent.futures.Executor):
    def __init__(self, error):
        self.error = error

    def submit(self, fn, /, *args, **kwargs):
        future = concurrent.futures.Future()
        future.set_exception(self.error)
        return future


class KilledWorker(Exception):
    """Has the name of Dask's."""


def test_what_fails_ends_in_one_line():
    with pytest.raises(JsplitError, match="failed in a worker: KeyError: "):
        swept(executor=_Failing(KeyError("x")))
    with pytest.raises(JsplitError, match="own words"):
        swept(executor=_Failing(JsplitError("own words")))
    with pytest.raises(JsplitError, match=f"died {work.MAX_LOSSES} times"):
        swept(executor=_Failing(KilledWorker()))


def test_executors_that_cannot_be_used_are_refused():
    with pytest.raises(JsplitError, match="executor must be a concurrent"):
        swept(executor=4)
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(JsplitError, match="executor takes no more work"):
        swept(executor=pool)
    if "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
        forking = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
        with pytest.raises(JsplitError, match="executor must not fork"):
            swept(executor=forking)
    with pytest.raises(JsplitError, match="workers must be an integer from 1"):
        Workers(0)


def test_what_cannot_travel_is_named():
    def plans(num_exits, protocol):
        return jsplit.policies.plans.stack([jsplit.policies.plans.exit_at(3, 3)])

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        policy = jsplit.Policy("mine", plans, Always())
        with pytest.raises(JsplitError, match="policy mine cannot be sent to a worker"):
            swept([policy], {"offload": [0.1, 0.2]}, executor=pool)
        with pytest.raises(JsplitError, match="devices must be None with an executor"):
            swept(devices=jax.devices(), executor=pool)


def test_a_spawning_pool_of_the_user(alone):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert swept(executor=pool).data.equals(alone.data)
