"""A sweep in rounds, after each of which cells may stop.

Here: which cells go on, and their estimates over all rounds. Not here: who is out of a
race (`racing`), half-widths (`stats`).
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.progress import Count
from jsplit.results.assembly import Part, shared
from jsplit.results.chunk import Chunk
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.settings import DIFFERENCE, KEPT, OWN, RANGE
from jsplit.results.summary import is_higher_better
from jsplit.stats.base import Streams
from jsplit.stats.limits import interval_of
from jsplit.stats.pooling import pooled
from jsplit.stats.stopping import MIN_REPLICAS
from jsplit.stats.student import Estimate
from jsplit.sweeps.grid import Block
from jsplit.sweeps.plan import Plan
from jsplit.sweeps.racing import ERROR, surely_worse
from jsplit.sweeps.tasks import Task, tasks_of
from jsplit.sweeps.work import Work
from jsplit.types import JsplitError

LEVEL = 0.95
TO_BASELINE = "difference_"
OF_A_ROUND = ("first_replica", "num_replicas")


@dataclasses.dataclass(frozen=True)
class Enough:
    """When cells stop.

    Attributes:
        most: replicas of a cell that does not stop before.
        until: wanted half-width by metric, or "difference_" and a metric.
        race: metric that cells are to be the best in; None for no race.
        by: axes at each of whose values there is a race of its own.
    """

    most: int
    until: Mapping[str, float]
    race: str | None
    by: tuple[str, ...]


def enough(
    plan: Plan,
    until: Mapping[str, float] | None,
    max_replicas: int,
    race: str | None,
    by: Sequence[str],
) -> Enough | None:
    """Returns when cells stop, checked; None where all run as many replicas.

    Raises:
        JsplitError: if an argument is out of its range or has no meaning for streams.
    """
    if until is None and race is None:
        if by:
            raise JsplitError(f"by belongs to race, got {checks.shown(by)} without it")
        return None
    name = "race" if until is None else "until"
    if until is not None and race is not None:
        raise JsplitError("until and race are two rules for when to stop: give one")
    streams = {plan.run(p).stream for block in plan.blocks for p in block.places}
    if "bootstrap" in streams:
        raise JsplitError(
            f"{name} needs shuffle or fixed streams, since test-set error does not "
            "shrink with replicas, got stream 'bootstrap'"
        )
    if until is not None:
        if not isinstance(until, Mapping) or not until:
            raise JsplitError(
                "until must be a dict of half-width by metric, such as "
                f"{{'cost': 0.001}}, got {checks.shown(until)}"
            )
        for metric, wanted in until.items():
            known = [*PER_REPLICA, *(f"{TO_BASELINE}{x}" for x in PER_REPLICA)]
            checks.choice("until", metric, known)
            if checks.number(f"until of {metric}", wanted, 0.0) == 0:
                raise JsplitError(f"until of {metric} must be > 0, got {wanted}")
        most = checks.integer("max_replicas", max_replicas, MIN_REPLICAS, 10**8)
        return Enough(most, dict(until), None, ())
    checks.choice("race", race, PER_REPLICA)
    homes = {
        axis.name: one.name
        for one in plan.grid.dimensions
        if one.of_environment
        for axis in one.axes
    }
    by = tuple(homes[checks.choice("by", x, homes)] for x in checks.entries("by", by))
    return Enough(plan.how["num_replicas"], {}, race, by)


def run_rounds(
    plan: Plan, enough: Enough, work: Work, count: Count
) -> tuple[list[Part], int]:
    """Returns all cells with what is kept of them, and the replicas that were saved.

    Rounds double: 256 replicas, 256 more, 512, 1,024 and so on. Every round has the
    replicas after those of the one before, and its tasks are kept like all others.

    Args:
        plan: of the sweep.
        enough: when cells stop.
        work: does tasks.
        count: counts replicas.
    """
    tallies = [_Tally(block) for block in plan.blocks]
    started = _runners(tallies, enough)
    saved = done = 0
    num_looks = max(len([*_rounds(enough.most)]) - 1, 1)
    attrs: list[Mapping[str, Any]] = []
    for size in _rounds(enough.most):
        first = plan.how["first_replica"] + done
        jobs = [
            (tally, *job)
            for tally in tallies
            for job in tally.jobs(plan, enough, first, size)
        ]
        of_task = {id(task): (tally, where, rows) for tally, where, rows, task in jobs}
        for task, chunk in work([job[-1] for job in jobs]):
            tally, where, rows = of_task[id(task)]
            tally.add(chunk, where, rows, size)
            attrs.append(chunk.data.attrs)
        done += size
        planned = sum(tally.num_runs for tally in tallies) * size
        skipped = planned - sum(task.num_replicas for *_, task in jobs)
        saved += skipped
        count.advance(skipped)
        if enough.race is None:
            for tally in tallies:
                tally.stop_sharp(enough.until)
        else:
            for key, runners in _runners(tallies, enough).items():
                num_started = len(started[key])
                _stop_worse(
                    runners, enough.race, num_started, num_looks, keep=bool(plan.keep)
                )
    # All rounds have alike how they ran, but which replicas.
    told = {k: v for k, v in shared(attrs).items() if k not in OF_A_ROUND}
    parts = [tally.part(told, plan.keep) for tally in tallies]
    return parts, saved


class _Tally:
    """What is known of a block so far."""

    def __init__(self, block: Block) -> None:
        self.block = block
        shape = (len(block.places), len(block.rows))
        self.kept = {name: np.full((*shape, len(PER_REPLICA)), np.nan) for name in KEPT}
        self.number = np.zeros(shape)
        self.active = np.ones(shape, bool)
        # By place, label and metric the values of the rounds.
        self.values: dict[tuple[int, str], dict[str, list[np.ndarray]]] = {}

    @property
    def num_runs(self) -> int:
        return len(self.block.places) * len(self.block.policies)

    def jobs(
        self, plan: Plan, enough: Enough, first: int, size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Task]]:
        """Yields tasks of cells that go on, with the places and rows they are of."""
        patterns, group = np.unique(self.active, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            (rows,) = np.nonzero(pattern)
            (where,) = np.nonzero(group.reshape(-1) == number)
            if not len(rows):
                continue
            chosen = [self.block.rows[row] for row in rows]
            needed = {x for row in chosen for x in (row.label, row.baseline)}
            policies = [one for one in self.block.policies if one.label in needed]
            places = [self.block.places[i] for i in where]
            runs = [
                (one, plan.run(one, first_replica=first, num_replicas=size))
                for one in places
            ]
            at = 0
            for task in tasks_of(runs, policies, chosen, _kept(plan, enough)):
                stop = at + len(task.places)
                yield where[at:stop], rows, task
                at = stop

    def add(self, chunk: Chunk, where: np.ndarray, rows: np.ndarray, size: int) -> None:
        here = np.ix_(where, rows)
        number = self.number[here][..., np.newaxis]
        for names in (OWN, DIFFERENCE):
            before = Estimate(*(self.kept[name][here] for name in names))
            now = Estimate(*(chunk[name].values for name in names))
            both = pooled(before, number, now, np.asarray(size))
            for name, value in zip(names, both, strict=True):
                self.kept[name][here] = value
        for name in RANGE:
            self.kept[name][here] = chunk[name].values
        self.number[here] += size
        chosen = [self.block.rows[row] for row in rows]
        number_of = {row.label: j for j, row in enumerate(chosen)}
        for metric, values in chunk.replicas(chosen).items():
            for i, place in enumerate(where):
                for label, j in number_of.items():
                    of_label = self.values.setdefault((int(place), label), {})
                    of_label.setdefault(metric, []).append(values[i][j])

    def stop_sharp(self, until: Mapping[str, float]) -> None:
        sharp = self.number >= MIN_REPLICAS
        for metric, wanted in until.items():
            names = DIFFERENCE if metric.startswith(TO_BASELINE) else OWN
            j = PER_REPLICA.index(metric.removeprefix(TO_BASELINE))
            found = Estimate(*(self.kept[name][..., j] for name in names))
            interval = interval_of(found, LEVEL, Streams())
            sharp &= (interval.high - interval.low) / 2 <= wanted
        self.active &= ~sharp

    def part(self, attrs: Mapping[str, Any], keep: Sequence[str]) -> Part:
        number = np.broadcast_to(
            self.number[..., np.newaxis], self.kept["mean"].shape
        ).copy()
        where = [place.where for place in self.block.places]
        kept = {**self.kept, "replicas": number}
        replicas = {metric: self._replicas(metric) for metric in keep}
        return Part(where, self.block.rows, kept, attrs, replicas)

    def _replicas(self, metric: str) -> list[list[np.ndarray]]:
        """Returns values by place and row, as many as the row has replicas."""
        whole = {
            key: np.concatenate(of_label[metric])
            for key, of_label in self.values.items()
        }
        return [
            [
                whole[i, row.label][: int(self.number[i, j])]
                for j, row in enumerate(self.block.rows)
            ]
            for i in range(len(self.block.places))
        ]


Runner = tuple[_Tally, int, str]


def _runners(
    tallies: Sequence[_Tally], enough: Enough
) -> dict[tuple[int, ...], list[Runner]]:
    """Returns the settings that are in a race, by slice; yardsticks are in none."""
    found: dict[tuple[int, ...], list[Runner]] = {}
    for tally in tallies:
        hidden = {one.label for one in tally.block.policies if one.privileged}
        for i, place in enumerate(tally.block.places):
            key = tuple(place.where[name] for name in enough.by)
            labels = {
                row.label
                for row, active in zip(tally.block.rows, tally.active[i], strict=True)
                if active
            }
            found.setdefault(key, []).extend(
                (tally, i, label) for label in sorted(labels - hidden)
            )
    return found


def _stop_worse(
    runners: Sequence[Runner],
    metric: str,
    num_started: int,
    num_looks: int,
    *,
    keep: bool,
) -> None:
    if len(runners) < 2:
        return
    values = np.stack(
        [np.concatenate(tally.values[i, label][metric]) for tally, i, label in runners]
    )
    out = surely_worse(
        values,
        num_started=num_started,
        num_looks=num_looks,
        higher_is_better=is_higher_better(metric),
        error=ERROR,
    )
    for (tally, i, label), is_out in zip(runners, out, strict=True):
        if is_out:
            rows = [row.label == label for row in tally.block.rows]
            tally.active[i, rows] = False
            if not keep:
                del tally.values[i, label]


def _kept(plan: Plan, enough: Enough) -> tuple[str, ...]:
    """Returns the metrics of which every replica is kept."""
    return plan.keep or (() if enough.race is None else (enough.race,))


def _rounds(most: int) -> Iterator[int]:
    """Yields the sizes of rounds: the total doubles."""
    done = 0
    while done < most:
        size = min(max(MIN_REPLICAS, done), most - done)
        yield size
        done += size
