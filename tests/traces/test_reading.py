"""Files as others write them: dialects, names, forms, and what no trace is."""

import gzip
import json
import os
import pathlib
import random

import ml_dtypes
import numpy as np
import pytest

from jsplit.traces.columns import find
from jsplit.traces.loading import load_and_tell, load_trace
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = pathlib.Path(
    os.environ.get("JSPLIT_TEST_CASES", ROOT.parent / "shared" / "cases")
)

HEAD = ["sample", "exit", "confidence", "prediction", "label"]
CELLS = [
    [7, 1, 0.5, 1, 1],
    [7, 2, 0.75, 0, 1],
    [3, 1, 0.25, 2, 2],
    [3, 2, 1.0, 2, 2],
]
CONFIDENCE = [[0.25, 1.0], [0.5, 0.75]]
CORRECT = [[True, True], [True, False]]
LOGITS = np.random.default_rng(3).normal(size=(5, 3, 4)).astype(np.float32)
LABELS = np.array([0, 3, 1, 2, 0])


def text(delimiter=",", decimal=".", head=HEAD, cells=CELLS, end="\n"):
    lines = [delimiter.join(head)]
    for row in cells:
        words = (str(cell).replace(".", decimal) for cell in row)
        lines.append(delimiter.join(words))
    return end.join(lines) + end


def refused(path, words, **options):
    with pytest.raises(JsplitError) as error:
        load_trace(path, **options)
    message = str(error.value)
    assert "\n" not in message
    for word in words.split():
        assert word in message, message


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


OBJECTS = [dict(zip(HEAD, row, strict=True)) for row in CELLS]
DIALECTS = {
    "a.csv": text(),
    "a.tsv": text("\t"),
    "tabs.csv": text("\t"),
    "a.txt": text("|"),
    "semicolon.csv": text(";"),
    "comma.csv": text(";", ","),
    "tabs and commas.tsv": text("\t", ","),
    "blanks.txt": text("  "),
    "windows.csv": text(end="\r\n"),
    "quoted.csv": text(";", ",").replace("0,5;", '"0,5";'),
    "a.csv.gz": gzip.compress(text().encode()),
    "A.CSV": text(head=[name.upper() for name in HEAD]),
    "a.jsonl": jsonl(OBJECTS),
    "a.jsonl.gz": gzip.compress(jsonl(OBJECTS).encode()),
    "list.json": json.dumps(OBJECTS),
    "columns.json": json.dumps({k: [row[k] for row in OBJECTS] for k in HEAD}),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_reads_the_same(tmp_path, name):
    trace = load_trace(write(tmp_path, name, DIALECTS[name]))
    assert trace.confidence.tolist() == CONFIDENCE
    assert trace.correct.tolist() == CORRECT
    assert trace.sample.tolist() == [3, 7]
    assert trace.meta == {"dataset": name.partition(".")[0]}


def test_numbers_are_read_to_the_last_digit(tmp_path):
    values = np.random.default_rng(0).random((200, 2))
    rows = [{"confidence": row, "correct": [0, 1]} for row in values.tolist()]
    wide = [[*row, 0, 1] for row in values.tolist()]
    head = ["confidence_0", "confidence_1", "correct_0", "correct_1"]
    for path in (
        write(tmp_path, "a.csv", text(head=head, cells=wide)),
        write(tmp_path, "b.csv", text(";", ",", head, wide)),
        write(tmp_path, "a.jsonl", jsonl(rows)),
    ):
        np.testing.assert_array_equal(load_trace(path).confidence, values)


def test_slow_reading_gives_the_same_as_fast(tmp_path):
    """A blank before a truth value is too much for the fast reader."""
    head = ["id", *(f"{name}_{i}" for name in ("conf", "correct") for i in (1, 2))]
    fast = text(";", ",", head, [["a", 0.5, 0.75, "True", "False"]])
    slow = fast.replace("True", " True ")
    one, other = (
        load_trace(write(tmp_path, "a.csv", content)) for content in (fast, slow)
    )
    assert one.sha256 == other.sha256
    assert one.sample.tolist() == ["a"]


NAMES = {
    "sample": ["Sample_ID", "id", "image", "filename", "Index"],
    "confidence": ["conf_branch_{}", "Confidence{}", "exit_{}_conf", "max prob {}"],
    "correct": ["correct_branch_{}", "is-correct.{}", "layer{}_correct"],
}


@pytest.mark.parametrize("quantity", ["confidence", "correct"])
def test_usual_names_of_columns_are_known(quantity):
    for name in NAMES[quantity]:
        columns = [name.format(number) for number in (12, 3, 6)]
        found = find([*columns, "time_branch_3"], None)
        assert list(found.by_exit[quantity]) == [3, 6, 12]
        assert found.by_exit.keys() == {quantity}
    for name in NAMES["sample"]:
        assert find([name], None).whole == {"sample": [name]}


def test_names_can_be_stated(tmp_path):
    head = ["c@early", "c@late", "ok early", "ok late", "conf_1", "conf_2"]
    path = write(tmp_path, "a.csv", text(head=head, cells=[[0.5, 0.75, 0, 1, 9, 9]]))
    columns = {"confidence": "C@{exit}", "correct": "ok {exit}"}
    trace = load_trace(path, columns=columns)
    assert trace.confidence.tolist() == [[0.5, 0.75]]
    assert trace.meta["exits"] == ["early", "late"]
    for stated, words in (
        ({"confidence": "d@{exit}"}, "columns confidence 'd@{exit}' 'c@early'"),
        ({"conf": "c"}, "key of columns one of sample, exit conf"),
        ({"confidence": 3}, "columns confidence 3"),
        ({"label": "x{exit}"}, "columns label no {exit}"),
        ([], "columns dict []"),
    ):
        refused(path, words, columns=stated)


def test_exits_are_in_the_order_of_their_numbers_or_of_the_file(tmp_path):
    def with_exits(first, second):
        swap = {1: first, 2: second}
        return text(cells=[[a, swap[b], *rest] for a, b, *rest in CELLS])

    for first, second, shown in (
        (3, 12, [3, 12]),
        ("exit_9", "exit_10", ["exit_9", "exit_10"]),
        ("late", "early", ["late", "early"]),
        (0.5, 0.25, ["0.5", "0.25"]),
    ):
        trace = load_trace(write(tmp_path, "a.csv", with_exits(first, second)))
        assert trace.confidence.tolist() == CONFIDENCE
        assert trace.meta["exits"] == shown
    mixed = text(cells=[["a", *CELLS[0][1:]], *CELLS[1:]])
    refused(write(tmp_path, "b.csv", mixed), "no row for sample a, exit 2")
    swapped = [CELLS[1], CELLS[0], *CELLS[2:]]
    names = {1: "one", 2: "two"}
    cells = [[a, names[b], *rest] for a, b, *rest in swapped]
    refused(write(tmp_path, "c.csv", text(cells=cells)), "exits numbers two, one")


def test_samples_with_names_stay_in_the_order_of_the_file(tmp_path):
    cells = [[f"img_{a}.png", *rest] for a, *rest in CELLS]
    trace = load_trace(write(tmp_path, "a.csv", text(cells=cells)))
    assert trace.sample.tolist() == ["img_7.png", "img_3.png"]
    assert trace.confidence.tolist() == CONFIDENCE[::-1]
    cells[2][0] = ""
    refused(write(tmp_path, "a.csv", text(cells=cells)), "row 4, column sample name ''")


def test_lists_of_numbers_are_exits(tmp_path):
    rows = [
        {"id": i, "y": int(label), "logits": logits.tolist()}
        for i, (label, logits) in enumerate(zip(LABELS, LOGITS, strict=True))
    ]
    wanted = Trace.from_logits(LOGITS.astype(float), LABELS, sample=range(5))
    trace = load_trace(write(tmp_path, "a.jsonl", jsonl(rows)))
    np.testing.assert_array_equal(trace.confidence, wanted.confidence)
    assert trace.sample.tolist() == wanted.sample.tolist()
    rows[3]["logits"][2].pop()
    refused(write(tmp_path, "a.jsonl", jsonl(rows)), "row 4, column logits list")
    del rows[3]["logits"]
    refused(write(tmp_path, "a.jsonl", jsonl(rows)), "row 4, column logits None")


def test_parquet_lists_and_missing_cells(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def loaded(**columns):
        parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
        return load_trace(tmp_path / "a.parquet")

    trace = loaded(label=LABELS, confidence=[[0.5, 1.0]] * 5, prediction=[[0, 1]] * 5)
    assert trace.confidence.tolist() == [[0.5, 1.0]] * 5
    logits = loaded(label=LABELS, logits=LOGITS.tolist())
    assert logits.num_classes == 4
    long = {name: [row[i] for row in CELLS] for i, name in enumerate(HEAD)}
    assert loaded(**long).confidence.tolist() == CONFIDENCE
    long["label"][2] = None
    with pytest.raises(JsplitError, match=r"row 3, column label .* None"):
        loaded(**long)


def test_classes_in_columns_of_a_long_table(tmp_path):
    head = ["sample", "exit", "label", *(f"logit_{c}" for c in range(4))]
    cells = [
        [n, i, LABELS[n], *map(float, LOGITS[n, i])] for n in range(5) for i in range(3)
    ]
    trace = load_trace(write(tmp_path, "a.csv", text(head=head, cells=cells)))
    wanted = Trace.from_logits(LOGITS.astype(float), LABELS)
    np.testing.assert_array_equal(trace.confidence, wanted.confidence)
    wide = [[LABELS[n], *map(float, LOGITS[n, 0])] for n in range(5)]
    path = write(tmp_path, "b.csv", text(head=head[2:], cells=wide))
    refused(path, "logit_0 classes or exits")


def test_npz_with_one_array_per_exit(tmp_path):
    parts = {f"logits_exit_{i}": LOGITS[:, i] for i in range(3)}
    np.savez(tmp_path / "a.npz", targets=LABELS, **parts)
    wanted = Trace.from_logits(LOGITS, LABELS)
    trace, understood = load_and_tell(tmp_path / "a.npz")
    np.testing.assert_array_equal(trace.confidence, wanted.confidence)
    assert understood.startswith("a.npz: 5 samples, 3 exits, 4 classes; label from tar")
    assert "logits from logits_exit_0 .. logits_exit_2" in understood
    parts["logits_exit_1"] = LOGITS[:2, 1]
    np.savez(tmp_path / "a.npz", targets=LABELS, **parts)
    refused(tmp_path / "a.npz", "logits one per exit [N, C] (2, 4), (5, 4)")


def test_npz_of_bfloat16_and_of_objects(tmp_path):
    half = LOGITS.astype(ml_dtypes.bfloat16)
    np.savez(tmp_path / "a.npz", logits=half, labels=LABELS.astype(object))
    trace = load_trace(tmp_path / "a.npz")
    wanted = Trace.from_logits(half.astype(np.float32), LABELS)
    np.testing.assert_array_equal(trace.confidence, wanted.confidence)
    assert trace.label.tolist() == LABELS.tolist()
    for odd in (None, np.int64(3), "3"):
        labels = np.array([*LABELS[:-1].tolist(), odd], object)
        np.savez(tmp_path / "b.npz", logits=LOGITS, labels=labels)
        refused(tmp_path / "b.npz", "array labels Python objects never unpickled")


STOPPED = {
    "deeper rows are missing": (text(cells=CELLS[:3]), "sample 3, exit 2: 1 of 2"),
    "one row each": (text(cells=CELLS[1:3]), "each sample the exit alone"),
    "cells are empty": (
        "conf_1,conf_2,correct_1,correct_2\n.5,.6,1,1\n.5,,1,\n",
        "row 3, column conf_2 '': 1 of 2",
    ),
}


@pytest.mark.parametrize(("content", "words"), STOPPED.values(), ids=list(STOPPED))
def test_log_of_a_run_that_stopped_early_is_refused(tmp_path, content, words):
    words += " stopped early cannot be replayed record every exit"
    refused(write(tmp_path, "a.csv", content), f"a.csv {words.replace('cannot', '')}")


def test_shorter_lists_are_a_log_that_stopped_early(tmp_path):
    rows = [{"confidence": [0.5, 0.6], "correct": [0, 1]}] * 2
    rows.append({"confidence": [0.5], "correct": [1]})
    path = write(tmp_path, "a.jsonl", jsonl(rows))
    refused(path, "row 3, column confidence 2 numbers 1 of 3 stopped early")


FOREIGN = {
    "a.jsonl": ("[1]\n", "row 1 JSON object [1]"),
    "b.jsonl": ('{"label": 1}\n{"label"\n', "line 2 JSON"),
    "c.json": ("[" * 100_000, "line 1 JSON"),
    "d.json": ("5", "list of JSON objects 5"),
    "e.json": ('{"label": [1], "confidence": []}', "same length [0, 1]"),
    "f.csv.gz": (b"hello", ".gz file damaged"),
    "g.csv.gz": (gzip.compress(text().encode() * 99)[:-9], ".gz file cut"),
    "h.xlsx": ("PK", ".xlsx not read .csv save the sheet"),
    "i.pt": ("PK", ".pt not read numpy.savez"),
    "j": ("PK", "nothing not read .npz"),
    "k.csv": (text(head=[*HEAD[:-1], "Label ", "label"]), "row 2 6 cells got 5"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_messages_speak_of_the_format_at_hand(tmp_path, name):
    content, words = FOREIGN[name]
    refused(write(tmp_path, name, content), words)


@pytest.mark.parametrize("name", [*DIALECTS, "a.npz"])
def test_damage_is_told_in_one_line_or_changes_a_value_alone(tmp_path, name):
    rng, messages = random.Random(name), []
    if name == "a.npz":
        np.savez(tmp_path / name, logits=LOGITS, labels=LABELS.astype(object))
        content = (tmp_path / name).read_bytes()
    else:
        content = DIALECTS[name]
        content = content if isinstance(content, bytes) else content.encode()
    shape = load_trace(write(tmp_path, name, content)).correct.shape
    for _ in range(40):
        place = rng.randrange(len(content))
        new = rng.choice(
            [b"", b'"', b"\n", b",", b"-", b"[", b"\0", b"9" * 400, b"nan"]
        )
        bad = content[:place] + new + content[place + rng.choice([0, 1, 20]) :]
        try:
            trace = load_trace(write(tmp_path, name, bad))
        except JsplitError as error:
            messages.append(str(error))
        else:
            # At most a whole sample or exit can go unnoticed.
            assert all(np.subtract(shape, trace.correct.shape) <= 1)
    assert messages
    assert not any("\n" in message for message in messages)


needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")


@needs_cases
@pytest.mark.parametrize(
    "name",
    [
        "branch_columns.csv",
        "capital_names.csv",
        "exits_are_layers.csv",
        "image_ids.csv",
        "list_columns.parquet",
        "long.csv.gz",
        "per_sample.jsonl",
        "semicolon_comma.csv",
    ],
)
def test_case_is_read(name):
    """All of them hold the same numbers."""
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    trace, understood = load_and_tell(CASES / name)
    assert trace.confidence[0].tolist() == [0.5492, 0.4112, 0.7971]
    assert trace.confidence.shape == (12, 3)
    assert trace.label[:3].tolist() == [3, 2, 2]
    assert trace.accuracy.tolist() == [0.25, 1.0, 1.0]
    assert understood.startswith(f"{name}: 12 samples, 3 exits")


@needs_cases
def test_case_of_predictions_alone_is_read():
    trace, understood = load_and_tell(CASES / "predictions_only.csv")
    assert trace.confidence is None
    assert trace.prediction[:2].tolist() == [[1, 3, 3], [3, 2, 2]]
    assert trace.accuracy.tolist() == [0.25, 1.0, 1.0]
    assert "prediction from 0 .. 2, no confidences; accuracy" in understood


@needs_cases
def test_case_is_refused():
    refused(CASES / "stopped_early.csv", "sample 1, exit 3 5 of 12 stopped early")


@needs_cases
def test_case_of_arrays_is_read():
    for name in ("bfloat16.npz", "object_labels.npz", "masked_class.npz"):
        trace = load_trace(CASES / name)
        assert trace.confidence.shape == (12, 3)
        assert trace.num_classes == 4


def test_costs_and_times_are_kept(tmp_path):
    head = ["sample", "exit", "conf", "correct", "cost", "latency_ms", "time"]
    cells = [[7, 1, 0.5, 1, 2, 250, 9], [7, 2, 0.75, 0, 3.5, 500, 1]]
    trace, understood = load_and_tell(
        write(tmp_path, "a.csv", text(head=head, cells=cells))
    )
    assert trace.cost.tolist() == [[2, 3.5]]
    assert trace.seconds.tolist() == [[0.25, 0.5]]
    assert "milliseconds from latency_ms" in understood
    trace.save(tmp_path / "b.npz")
    again = load_trace(tmp_path / "b.npz")
    assert again.sha256 == trace.sha256
    assert again.seconds.dtype == np.float64
    plain = Trace.from_arrays(trace.confidence, correct=trace.correct, sample=[7])
    assert again.sha256 != plain.sha256
    np.savez(tmp_path / "c.npz", logits=LOGITS, labels=LABELS, secs=np.ones((5, 3)))
    assert load_trace(tmp_path / "c.npz").seconds.tolist() == [[1, 1, 1]] * 5


@pytest.mark.parametrize(
    ("name", "times", "words"),
    [
        ("ms", [500, 250], "seconds at least exit before start of the sample 0.25"),
        ("cost", [-1, 1], "cost >= 0 -1"),
        ("seconds", [1, "nan"], "seconds finite nan"),
    ],
)
def test_times_that_run_backwards_are_refused(tmp_path, name, times, words):
    head = ["sample", "exit", "conf", "correct", name]
    cells = [[7, i + 1, 0.5, 1, times[i]] for i in range(2)]
    path = write(tmp_path, "a.csv", text(head=head, cells=cells))
    refused(path, words)
    quantity = "milliseconds" if name == "ms" else name
    assert load_trace(path, columns={quantity: ""}).seconds is None


def test_confidences_under_an_unknown_name_are_not_passed_over(tmp_path):
    head = ["sample", "exit", "sureness", "correct"]
    cells = [[7, 1, 0.5, 1], [7, 2, 0.75, 0]]
    path = write(tmp_path, "a.csv", text(head=head, cells=cells))
    refused(path, "sureness seems confidences columns confidence=sureness")
    stated = {"confidence": "sureness"}
    assert load_trace(path, columns=stated).confidence.tolist() == [[0.5, 0.75]]
    assert load_trace(path, columns={"confidence": ""}).confidence is None
    np.savez(tmp_path / "a.npz", correct=[[1, 0]], sureness=[[0.5, 0.75]], b=[0.5])
    refused(tmp_path / "a.npz", "sureness seems")
    wide = [["1.0", "0.0", 1, 0]]  # whole numbers may be anything
    head = ["a", "b", "correct_1", "correct_2"]
    path = write(tmp_path, "b.csv", text(head=head, cells=wide))
    assert load_trace(path).confidence is None
