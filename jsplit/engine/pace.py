"""How much work one call to the devices gets: about `SECONDS`.

Here: `Pace`, which cuts a run into pieces. So between two calls an interrupt is seen,
progress is told and the state can be saved. Not here: the calls (`shard`). The bounds
of a piece are data: another cut compiles nothing and changes no number.
"""

from typing import Any, NamedTuple

import numpy as np

from jsplit.engine.schedule import Schedule

SECONDS = 0.7  # of a call
FIRST_SECONDS = 0.25  # of the first one, whose speed is a guess
LANE_SECONDS = 2e-8  # guess for one step of one lane
GROWTH = 8.0  # of a call's work over that of the one before, at most


class Place(NamedTuple):
    """Where a run stands."""

    item: int  # of a device: a group of settings and a block of replicas
    segment: int  # of the item


class Piece(NamedTuple):
    """What one call runs: whole items, or segments of one item."""

    first_item: Any  # [] int32, and so are all
    last_item: Any  # excluded
    first_segment: Any
    last_segment: Any  # excluded


class Pace:
    """Cuts the items of a device into pieces, by the time that earlier ones took."""

    def __init__(self, schedule: Schedule, lanes: int) -> None:
        """Args: the segments of every item, and the lanes that step together."""
        self._before = np.append(schedule.start, 0)  # steps before a segment
        self._before[-1] = schedule.start[-1] + schedule.steps[-1]
        self._steps = FIRST_SECONDS / (LANE_SECONDS * lanes)

    @property
    def horizon(self) -> int:
        """T, the steps of an item."""
        return int(self._before[-1])

    def piece(self, place: Place, items: int) -> Piece:
        """Returns what to run next.

        Args:
            place: where the run stands.
            items: how many there are.
        """
        item, segment = place
        segments = self._before.size - 1
        if segment == 0 and self._steps >= self.horizon:
            last = min(items, item + int(self._steps // self.horizon))
            return Piece(*map(np.int32, (item, last, 0, segments)))
        stop = self._before[segment] + self._steps
        end = int(np.searchsorted(self._before, stop, "right")) - 1
        end = min(max(end, segment + 1), segments)
        return Piece(*map(np.int32, (item, item + 1, segment, end)))

    def after(self, piece: Piece) -> Place:
        """Returns where the run stands after a piece."""
        if piece.last_segment == self._before.size - 1:
            return Place(int(piece.last_item), 0)
        return Place(int(piece.first_item), int(piece.last_segment))

    def steps(self, place: Place) -> int:
        """Returns the steps before a place, of all items."""
        return place.item * self.horizon + int(self._before[place.segment])

    def took(self, steps: int, seconds: float) -> None:
        """Learns from a call: what it ran, and how long it took."""
        self._steps = steps * min(SECONDS / max(seconds, 1e-9), GROWTH)
