"""An evaluation in a folder: the same numbers, and it goes on where it stopped."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit.engine import shard
from jsplit.evaluation import evaluate, kept
from jsplit.types import JsplitError

POLICIES = ["splitee", "final_exit", "random_exit"]
TRACE, COSTS = random_trace(40, 3), jsplit.Costs.splitee(3)


def run(out=None, policies=POLICIES, trace=TRACE, costs=COSTS, **options):
    how = {"num_replicas": 12, "seed": 3, **options}
    return jsplit.evaluate(trace, policies, costs, out=out, **how)


def scenario():
    conditions = {
        name: (random_trace(40, 3, seed=seed, label_seed=0), COSTS)
        for name, seed in (("clear", 0), ("blurred", 1))
    }
    return jsplit.Scenario(conditions, jsplit.drift.abrupt(20))


@pytest.fixture
def replays(monkeypatch):
    """Counts what is replayed, by first replica and number of them."""
    found, replay = [], shard.run_replicas

    def counting(*arguments, **options):
        own = arguments[4]
        found.append((own.first_replica, own.num_replicas))
        return replay(*arguments, **options)

    monkeypatch.setattr(shard, "run_replicas", counting)
    return found


@pytest.fixture
def small_parts(monkeypatch):
    def parts(run, split=kept._parts):
        for start in range(0, run.num_replicas, 8):
            number = min(8, run.num_replicas - start)
            first = run.first_replica + start
            yield kept.dataclasses.replace(
                run, first_replica=first, num_replicas=number
            )

    monkeypatch.setattr(kept, "_parts", parts)


def same(one, other):
    assert one.data.equals(other.data)
    told = [{k: v for k, v in x.attrs.items() if k != "created"} for x in (one, other)]
    assert told[0] == told[1]


OPTIONS = {
    "moments": {},
    "bootstrap": {"stream": "bootstrap", "first_replica": 8},
    "all that can be kept": {
        "keep_curves": True,
        "record_arms": True,
        "bills": {"energy": jsplit.Costs([1.0, 2.0, 4.0])},
        "deadlines": {"energy": 3.0},
    },
    "conditions": {"trace": scenario(), "costs": None},
    "free plays": {"protocol": "released"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_parts_give_the_numbers_of_one_run(tmp_path, small_parts, replays, options):
    whole = run(tmp_path, **options)
    assert len(replays) == 2 * len(POLICIES)
    same(whole, run(**options))
    same(whole, jsplit.load_result(tmp_path / "result.nc.gz"))
    assert sorted(x.name for x in tmp_path.iterdir()) == [
        "evaluation.json",
        "result.nc.gz",
    ]
    del replays[:]
    same(run(tmp_path, **options), whole)
    assert replays == []  # a finished one is not repeated


def stopped(out, monkeypatch, after):
    """An evaluation that is interrupted when it has replayed so many parts."""
    replay, calls = shard.run_replicas, []

    def stopping(*arguments, **options):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(arguments)
        return replay(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shard, "run_replicas", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(out)


def test_it_goes_on_where_it_stopped(tmp_path, small_parts, monkeypatch, replays):
    stopped(tmp_path, monkeypatch, after=3)
    del replays[:]
    same(run(tmp_path), run())
    assert replays[:3] == [(8, 4), (0, 8), (8, 4)]


def test_it_goes_on_in_mid_stream(tmp_path, monkeypatch):
    """The state of an unfinished part is used, and gives the same bits."""
    pieces, piece = [], shard._run_piece

    def counted(*arguments):
        pieces.append(arguments)
        return piece(*arguments)

    def interrupted(count):
        def advance(replicas):
            count[0] += 1
            if count[0] == 3:
                raise KeyboardInterrupt

        return advance

    monkeypatch.setattr(shard.Pace, "took", lambda self, steps, seconds: None)
    monkeypatch.setattr("jsplit.engine.pace.FIRST_SECONDS", 1e-9)
    monkeypatch.setattr(shard, "_run_piece", counted)
    whole = run(policies=["splitee"])
    all_pieces = len(pieces)
    replay = evaluate._replay

    def interrupting(bound, schedule, advance, *rest):
        return replay(bound, schedule, interrupted([0]), *rest)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "_replay", interrupting)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, policies=["splitee"])
    assert [*tmp_path.glob(".*.midway")]
    del pieces[:]
    same(run(tmp_path, policies=["splitee"]), whole)
    assert 0 < len(pieces) < all_pieces


def test_a_damaged_part_is_replayed(tmp_path, small_parts, monkeypatch, replays):
    stopped(tmp_path, monkeypatch, after=3)
    part = tmp_path / "000-8.part"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    del replays[:]
    same(run(tmp_path), run())
    assert replays[:4] == [(8, 4), (8, 4), (0, 8), (8, 4)]


CHANGES = {
    "seed": ({"seed": 4}, "seed was 3, is 4"),
    "replicas": ({"num_replicas": 16}, "num_replicas was 12, is 16"),
    "costs": (
        {"costs": jsplit.Costs.splitee(3, offload=0.9)},
        r"costs was {'offload': \[0.5, .*}, is {'offload': \[0.9, 0.9",
    ),
    "policy": (
        {"policies": ["splitee(beta=2)", *POLICIES[1:]]},
        "policies was 'splitee', is 'splitee\\(beta=2",
    ),
    "bills": ({"bills": {}}, "bills was None, is"),
    "curves": ({"keep_curves": True}, "keep_curves was False, is True"),
}


@pytest.mark.parametrize(("options", "words"), CHANGES.values(), ids=list(CHANGES))
def test_another_one_is_refused_with_what_differs(tmp_path, options, words):
    folder = tmp_path / "out"
    with kept.keeping(*arguments(folder)):
        pass
    with pytest.raises(JsplitError, match=f"holds another evaluation: {words}"):
        run(folder, **options)


def arguments(out):
    """What `keeping` is called with for `run(out)`."""
    with pytest.MonkeyPatch.context() as patch:
        found = []

        def keeping(*given):
            found.extend(given)
            raise ZeroDivisionError

        patch.setattr(evaluate, "keeping", keeping)
        with pytest.raises(ZeroDivisionError):
            run(out)
    return found


def test_a_result_of_something_else_is_not_taken(tmp_path):
    run(seed=9).save(tmp_path / "result.nc.gz")
    same(run(tmp_path), run())


def test_a_damaged_result_is_replayed(tmp_path):
    whole = run(tmp_path)
    path = tmp_path / "result.nc.gz"
    path.write_bytes(path.read_bytes()[:-9])
    again = run(tmp_path)
    same(again, whole)
    assert np.array_equal(jsplit.load_result(path)["reward"], whole["reward"])
