"""Any trace, written in any dialect, reads back equal; single damage is no surprise.

Formats with checksums are refused or read as they were. So are the values of Parquet,
where the writer adds checksums, but the name of a column may be lost. Text has no
redundancy: a changed digit is another valid file. There one damage may change one
value, the name of one sample, or lose an optional column whose name it hit, and nothing
else.
"""

import csv
import gzip
import io
import json
import pathlib
import string
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jsplit.traces.fields import ARRAYS
from jsplit.traces.loading import load_trace
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

quick = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PER_EXIT = ("confidence", "prediction", "correct", "entropy", "cost", "seconds")
# Names that text cannot mistake for numbers.
NAMES = st.text("abzé_-/ ;|,\t'\"", max_size=4).map(lambda text: f"n{text}m")


@st.composite
def traces(draw):
    size = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    num_classes = draw(st.integers(2, 12))

    def array(values, shape=size):
        flat = draw(st.lists(values, min_size=0, max_size=int(np.prod(shape))))
        flat += [draw(values)] * (int(np.prod(shape)) - len(flat))
        return np.array(flat).reshape(shape)

    fractions = st.floats(0, 1)
    fields = {}
    if draw(st.booleans()):
        fields["confidence"] = array(fractions)
        assume(((fields["confidence"] % 1) != 0).any())
    if draw(st.booleans()):
        fields["prediction"] = array(st.integers(0, num_classes - 1))
        fields["label"] = array(st.integers(0, num_classes - 1), size[:1])
        # Else classes might seem to be counted from 1.
        fields["prediction"][0, 0] = fields["label"][0] = 0
    else:
        fields["correct"] = array(st.integers(0, 1))
    if draw(st.booleans()):
        fields["entropy"] = 2 + array(st.floats(0, 4))
    for name in ("cost", "seconds"):
        if draw(st.booleans()):
            fields[name] = 2 + array(st.floats(0, 1e6)).cumsum(1)
    ids = draw(st.sampled_from([st.integers(0, 2**60), NAMES, None]))
    if ids is not None:
        fields["sample"] = np.array(
            draw(st.lists(ids, min_size=size[0], max_size=size[0], unique=True))
        )
    return Trace.from_arrays(**fields)


def arrays(trace):
    found = {name: getattr(trace, name) for name in ARRAYS}
    return {name: array for name, array in found.items() if array is not None}


def columns(trace, form):
    """Returns a table as lists by name, in one of three forms."""
    found = arrays(trace)
    num_samples, num_exits = trace.correct.shape
    numbers = range(1, num_exits + 1)
    given = {name: found[name] for name in PER_EXIT if name in found}
    if form == "long":
        sample = found.get("sample", np.arange(num_samples))
        table = {"sample": np.repeat(sample, num_exits).tolist()}
        table["exit"] = [*numbers] * num_samples
        table |= {name: array.reshape(-1).tolist() for name, array in given.items()}
        if "label" in found:
            table["label"] = np.repeat(found["label"], num_exits).tolist()
        return table
    table = {
        name: found[name].tolist() for name in ("sample", "label") if name in found
    }
    for name, array in given.items():
        if form == "lists":
            table[name] = array.tolist()
        else:
            table |= {f"{name}_{i}": array[:, i - 1].tolist() for i in numbers}
    return table


def as_text(table, delimiter=",", decimal="."):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow(
            [str(x).replace(".", decimal) if isinstance(x, float) else x for x in row]
        )
    return file.getvalue().encode()


def as_rows(table):
    cells = zip(*table.values(), strict=True)
    return [dict(zip(table, row, strict=True)) for row in cells]


def as_lines(table):
    return "".join(json.dumps(row) + "\n" for row in as_rows(table)).encode()


def as_parquet(table):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    file = io.BytesIO()
    parquet.write_table(
        pyarrow.table(table), file, write_page_checksum=True, use_dictionary=False
    )
    return file.getvalue()


def as_npz(trace, form):
    file = io.BytesIO()
    found = {x: y for x, y in arrays(trace).items() if not x.startswith("remote")}
    if form == "wide":
        for name in [x for x in PER_EXIT if x in found]:
            array = found.pop(name)
            found |= {f"{name}_{i}": array[:, i] for i in range(array.shape[1])}
    np.savez_compressed(file, **found)
    return file.getvalue()


def saved(trace, compress):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.npz")
        trace.save(path, compress=compress)
        return path.read_bytes()


def zipped(data):
    return gzip.compress(data, mtime=0)


WAYS = {
    "long.csv": lambda x: as_text(columns(x, "long")),
    "wide.csv": lambda x: as_text(columns(x, "wide")),
    "wide.tsv": lambda x: as_text(columns(x, "wide"), "\t"),
    "bars.txt": lambda x: as_text(columns(x, "long"), "|"),
    "semicolons.csv": lambda x: as_text(columns(x, "wide"), ";"),
    "commas.csv": lambda x: as_text(columns(x, "long"), ";", ","),
    "small.csv.gz": lambda x: zipped(as_text(columns(x, "wide"))),
    "long.jsonl": lambda x: as_lines(columns(x, "long")),
    "lists.jsonl": lambda x: as_lines(columns(x, "lists")),
    "rows.json": lambda x: json.dumps(as_rows(columns(x, "wide"))).encode(),
    "columns.json": lambda x: json.dumps(columns(x, "long")).encode(),
    "long.parquet": lambda x: as_parquet(columns(x, "long")),
    "lists.parquet": lambda x: as_parquet(columns(x, "lists")),
    "whole.npz": lambda x: as_npz(x, "whole"),
    "by_exit.npz": lambda x: as_npz(x, "wide"),
    "saved.npz": lambda x: saved(x, False),
    "compressed.npz": lambda x: saved(x, True),
}
CHECKED = ("small.csv.gz", "whole.npz", "by_exit.npz", "saved.npz", "compressed.npz")


def loaded(name, data):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, name)
        path.write_bytes(data)
        return load_trace(path)


def as_read(trace, name):
    """The arrays that a file of this form holds, in its order."""
    found = arrays(trace)
    if name.startswith(("long", "bars", "commas", "columns")):
        found.setdefault("sample", np.arange(trace.num_samples))
        if found["sample"].dtype.kind == "i":
            rows = np.argsort(found["sample"])
            found = {key: array[rows] for key, array in found.items()}
    return found


@pytest.mark.parametrize("name", WAYS)
@settings(quick, max_examples=15)
@given(trace=traces())
def test_any_trace_reads_back_equal(name, trace):
    again, wanted = arrays(loaded(name, WAYS[name](trace))), as_read(trace, name)
    assert again.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(again[key], array)


EXAMPLE = Trace.from_arrays(
    [[0.25, 0.5, 1.0], [0.75, 0.625, 0.875], [0.1, 0.2, 0.3], [0.5, 0.9, 0.0]],
    [[0, 1, 1], [2, 2, 0], [1, 0, 3], [3, 3, 3]],
    [1, 2, 3, 0],
    entropy=[[1.25, 1.0, 0.0], [0.5, 0.75, 0.25], [1.0, 1.5, 1.25], [0.0, 0.1, 0.2]],
    seconds=[[1.5, 2.5, 3.5], [1.0, 2.0, 4.0], [0.5, 0.75, 9.0], [1.0, 1.0, 1.0]],
    sample=[11, 22, 33, 44],
)


@st.composite
def damages(draw, size):
    """One bit that flipped, one end that is missing, one byte put in or left out."""
    place = draw(st.integers(0, size - 1))
    kind = draw(st.sampled_from(["bit", "cut", "byte", "lost"]))
    byte = draw(st.sampled_from([ord(x) for x in string.printable] + [0, 200, 255]))
    return place, kind, 1 << draw(st.integers(0, 7)) if kind == "bit" else byte


def damaged(data, damage):
    place, kind, value = damage
    if kind == "cut":
        return data[:place]
    middle = {"bit": [data[place] ^ value], "byte": [value, data[place]], "lost": []}
    return data[:place] + bytes(middle[kind]) + data[place + 1 :]


@pytest.mark.parametrize("name", WAYS)
@settings(quick, max_examples=60)
@given(st.data())
def test_single_damage_is_told_or_does_no_harm(name, data):
    whole = WAYS[name](EXAMPLE)
    damage = data.draw(damages(len(whole)))
    try:
        found = arrays(loaded(name, damaged(whole, damage)))
    except JsplitError:
        return
    wanted = as_read(EXAMPLE, name)
    changed = [
        key
        for key in wanted.keys() & found.keys()
        if not np.array_equal(found[key], wanted[key])
    ]
    lost = wanted.keys() - found.keys()
    if name in CHECKED:
        assert not changed
        assert not lost
        return
    if name.endswith("parquet"):  # whose values have checksums, names have none
        assert not changed
        return
    if damage[1] == "cut":
        # What is left of a file that ends early, but for the last number.
        count = len(found["correct"])
        for key in found:
            np.testing.assert_array_equal(found[key][:-1], wanted[key][: count - 1])
        return
    assert not lost & {"correct", "remote_correct"}
    cells = [key for key in changed if not key.startswith(("correct", "remote"))]
    if any(found[key].shape != wanted[key].shape for key in cells):
        # A sample or an exit whose rows became none, or another's.
        sizes = np.subtract(EXAMPLE.correct.shape, found["correct"].shape)
        assert np.abs(sizes).sum() == 1
        return
    assert len(cells) <= 1
    for key in cells:  # one name of a sample that is a text makes all texts
        assert (found[key].astype(str) != wanted[key].astype(str)).sum() == 1
