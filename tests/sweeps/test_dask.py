"""Sweeps by Dask's workers, which are processes of a cluster on this machine."""

import os
import signal
import time
import warnings

import pytest
from small_sweeps import TRACE, one_place_each, swept  # noqa: F401

from jsplit import cli
from jsplit.types import JsplitError

distributed = pytest.importorskip(
    "distributed", reason='sweeps by Dask need it: pip install "jsplit[cluster]"'
)


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            scheduler_kwargs={"allowed_failures": 1},
        ) as found:
            yield found


@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_bits_though_a_worker_is_killed(cluster, tmp_path):
    alone = swept()
    with distributed.Client(cluster, set_as_default=False) as client:
        executor = client.get_executor()
        assert swept(executor=executor).data.equals(alone.data)
        submit, calls = executor.submit, []

        def dying(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                return submit(_die, *arguments)
            return submit(*arguments)

        executor.submit = dying
        assert swept(executor=executor, out=tmp_path).data.equals(alone.data)
        assert len(calls) > 5


def _die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore")
def test_the_command_and_an_address_that_nobody_has(cluster, tmp_path, capsys):
    path = str(tmp_path / "small.npz")
    TRACE.save(path)
    command = ["sweep", path, "--over", "offload=0.1,0.3", "--num-replicas", "8"]
    command += ["--quiet", "--out", str(tmp_path / "a"), "--dask"]
    assert cli.main([*command, cluster.scheduler_address]) == 0
    assert (tmp_path / "a" / "table.csv").exists()
    capsys.readouterr()
    start = time.monotonic()
    assert cli.main([*command, "tcp://127.0.0.1:9"]) == 2
    assert time.monotonic() - start < 30
    (line,) = capsys.readouterr().err.splitlines()
    assert "dask: cannot reach tcp://127.0.0.1:9" in line
    assert cli.main([*command, "nonsense://x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "dask: cannot reach nonsense://x" in line
    with pytest.raises(JsplitError, match="executor must be a concurrent"):
        swept(executor=cluster)
