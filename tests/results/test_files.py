"""The file of a result: compressed, small, and every bit of it verified."""

import gzip
import io
import json

import numpy as np
import pytest
import xarray
from conftest import random_trace

import jsplit
from jsplit.results import files
from jsplit.types import JsplitError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("result") / "a.nc.gz"
    trace = random_trace(30, 3)
    result = jsplit.evaluate(
        trace, ["ucb1", "final_exit"], jsplit.Costs.splitee(3), num_replicas=4
    )
    result.save(path)
    return path


def test_no_flipped_bit_loads_silently(path, tmp_path):
    """But the few that fill up the last byte of the packed stream."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    header = range(8 * 10)
    bits = [*header, *rng.choice(8 * len(content), 400, replace=False).tolist()]
    whole = jsplit.load_result(path)
    silent = 0
    for bit in bits:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        other = tmp_path / "b.nc.gz"
        other.write_bytes(damaged)
        try:
            found = jsplit.load_result(other)
        except JsplitError:
            continue
        silent += 1
        assert found.data.equals(whole.data)  # nothing that counts was hit
    assert silent <= 7


def repacked(path, change):
    """The same file with changed contents and a right checksum of gzip's own."""
    data = xarray.load_dataset(io.BytesIO(gzip.decompress(path.read_bytes())))
    data = change(data)
    content = bytes(data.to_netcdf(engine="scipy"))
    packed = gzip.compress(content, 9, mtime=0)
    return files._HEADER + packed[len(files._HEADER) :]


def changed_header(**changes):
    def change(data):
        header = json.loads(data.attrs["jsplit"])
        return data.assign_attrs(jsplit=json.dumps(header | changes))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.assign(cost=data["cost"] + 1e-12), "is damaged"),
        (lambda data: data.rename(cost="price"), "is damaged"),
        (lambda data: data.drop_vars("cost"), "is damaged"),
        (changed_header(kind="summary"), "is damaged"),
        (changed_header(attributes={}), "is damaged"),
        (changed_header(attributes=None), "names no kind"),
        (changed_header(format_version="1"), "names no kind"),
        (changed_header(format_version=2), "written by a newer jsplit"),
        (lambda data: data.assign_attrs(jsplit="[]"), "names no kind"),
        (changed_header(format_version=True), "names no kind"),
        (changed_header(format_version=0), "names no kind"),
        (lambda data: data.drop_attrs(deep=False), "names no kind"),
    ],
)
def test_contents_that_were_changed_are_refused(path, tmp_path, change, message):
    other = tmp_path / "b.nc.gz"
    other.write_bytes(repacked(path, change))
    with pytest.raises(JsplitError, match=message) as error:
        jsplit.load_result(other)
    assert "\n" not in str(error.value)


def test_large_seeds_and_long_labels_come_back(tmp_path):
    policies = [jsplit.make_policy("fixed_split", depth=2, alpha=0.123456789)]
    result = jsplit.evaluate(
        random_trace(20, 3),
        policies,
        jsplit.Costs.splitee(3),
        num_replicas=2,
        seed=2**32 - 1,
    )
    result.save(tmp_path / "a.nc.gz")
    again = jsplit.load_result(tmp_path / "a.nc.gz")
    assert again.attrs == result.attrs
    assert again.policies == result.policies


def test_xarray_opens_the_file_too(path):
    with xarray.open_dataset(path, engine="scipy") as data:
        assert data["accuracy"].shape == (2, 4)


def test_a_result_is_small(tmp_path):
    """Curves were 24 of 27 MB of a quick start's result."""
    trace = jsplit.sample_trace("digits")
    result = jsplit.evaluate(
        trace,
        ["splitee", "random_exit"],
        jsplit.Costs.splitee(6, offload=0.3),
        num_replicas=512,
    )
    path = tmp_path / "a.nc.gz"
    result.save(path)
    curves = 2 * 512 * result["checkpoint"].size * 20
    assert path.stat().st_size < curves / 4
