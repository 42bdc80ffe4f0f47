"""Which column of a table, or array of a file, holds what.

Here: usual names, whatever their capitals, and names that a user states. Not here: what
the cells say (`tables`, `npz`).
"""

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

import numpy as np

from jsplit import checks
from jsplit.checks import shown
from jsplit.types import JsplitError

LONG = 400  # characters of a list of names in a message

PER_EXIT = (
    "confidence",
    "prediction",
    "correct",
    "entropy",
    "remote_confidence",
    "remote_correct",
    "remote_prediction",
    "cost",
    "seconds",
    "milliseconds",
)
"""Quantities with one value per sample and exit, named as in `Trace.from_arrays`.

Milliseconds become seconds.
"""
PER_CLASS = (
    "logits",
    "probabilities",
    "remote_logits",
    "remote_probabilities",
)
"""Quantities with one value per sample, exit and class."""
KNOWN = ("sample", "exit", "label", *PER_EXIT, *PER_CLASS)
"""Everything that a file can hold."""

# Without capitals and signs. Of two that name samples or exits the first counts.
_NAMES = {
    "sample": "sample sampleid sampleidx sampleindex samplename id idx index guid uid "
    "example exampleid instance instanceid image imageid imagename img file filename",
    "exit": "exit exitid exitidx exitindex exitno exitnumber branch branchid layer "
    "layerid exitlayer head classifier",
    "label": "label labels target targets y ytrue truth groundtruth gt gold truelabel "
    "oplabels",
    "confidence": "confidence confidences conf confs maxprob maxprobability msp",
    "prediction": "prediction predictions pred preds predicted predictedlabel "
    "predictedclass predlabel predclass ypred yhat",
    "correct": "correct iscorrect correctness hit",
    "entropy": "entropy entropies",
    "cost": "cost costs",
    # Not time or latency, which do not say their unit.
    "seconds": "seconds second secs sec timeseconds times timesec latencyseconds "
    "latencys latencysec",
    "milliseconds": "milliseconds millisecond msec ms timems latencyms",
    "logits": "logits logit",
    "probabilities": "probabilities probability probs prob probas proba softmax",
}
_PLACES = {
    name: (quantity, place)
    for quantity, names in _NAMES.items()
    for place, name in enumerate(names.split())
}
_PLACES |= {
    f"{away}{name}": (f"remote_{quantity}", place)
    for away in ("remote", "cloud", "server")
    for name, (quantity, place) in _PLACES.items()
    if f"remote_{quantity}" in KNOWN
}
_EXIT_WORD = "(?:exit|branch|layer|head|classifier|block|stage|ee|ic)"
_BY_EXIT = (
    re.compile(rf"(.+?)[\W_]*?(?:{_EXIT_WORD}[\W_]*)?(\d+)"),
    re.compile(rf"{_EXIT_WORD}[\W_]*(\d+)[\W_]+(.+)"),
)


class Found(NamedTuple):
    """Names by what they hold."""

    whole: dict[str, list[str]]  # quantity -> columns that each hold all of it
    by_exit: dict[str, dict[int | str, str]]  # quantity -> exit -> column, in order


def find(names: Iterable[str], stated: Mapping[str, str] | None) -> Found:
    """Returns which names hold what, those that were stated first.

    Args:
        names: of the columns or arrays.
        stated: names by quantity, one of `KNOWN`; `{exit}` in a name stands for the
            number or name of an exit, "" says that there is none. None: usual names
            only.

    Returns:
        What was found. Exits are in the order of their numbers if all have one, and of
        the columns if not.

    Raises:
        JsplitError: if a stated name is not there, or two name the same exit.

    Example:
        >>> from jsplit.traces.columns import find
        >>> find(["Target", "conf_branch_2", "conf_branch_1"], None).by_exit
        {'confidence': {1: 'conf_branch_1', 2: 'conf_branch_2'}}
    """
    names = list(names)
    whole: dict[str, list[str]] = {}
    by_exit: dict[str, dict[int | str, str]] = {}
    taken: set[str] = set()
    for quantity, pattern in _checked(stated).items():
        if not pattern:
            whole[quantity] = []
            continue
        exits = _matching(quantity, pattern, names)
        taken |= set(exits.values())
        if "{exit}" in pattern:
            by_exit[quantity] = exits
        else:
            whole[quantity] = list(exits.values())
    done = {*whole, *by_exit}
    others = [name for name in names if name not in taken]
    ranked: dict[str, list[tuple[int, str]]] = {}
    for name in others:
        quantity, place = _PLACES.get(_plain(name), ("", 0))
        if quantity and quantity not in done:
            ranked.setdefault(quantity, []).append((place, name))
        elif numbered := _numbered(name):
            quantity, number = numbered
            if quantity not in done:
                _add(by_exit.setdefault(quantity, {}), quantity, number, name)
    whole = {quantity: names for quantity, names in whole.items() if names}
    for quantity, candidates in ranked.items():
        several = [name for _, name in sorted(candidates)]
        whole[quantity] = several[:1] if quantity in ("sample", "exit") else several
    if not by_exit and not taken and "exit" not in whole:
        _add_numbers_only(whole, by_exit, others)
    return Found(whole, {name: _ordered(exits) for name, exits in by_exit.items()})


def is_enough(given: Set[str]) -> bool:
    """Tells whether these quantities make a trace."""
    if "label" in given and given & {"logits", "probabilities"}:
        return True
    return "correct" in given or {"label", "prediction"} <= given


def lacks_confidences(given: Set[str], stated: Mapping[str, str] | None) -> bool:
    """Tells whether these quantities lack confidences and nobody says so."""
    known = given & {"confidence", *PER_CLASS}
    return not known and (stated is None or stated.get("confidence") != "")


def may_hold_confidences(cells: np.ndarray) -> bool:
    """Tells whether numbers look like confidences: fractions, all in [0, 1]."""
    if cells.dtype.kind != "f" or not cells.size:
        return False
    inside = (cells >= 0) & (cells <= 1)
    return bool(inside.all() and (cells != np.floor(cells)).any())


def unnamed(name: str) -> JsplitError:
    """Returns the error about confidences whose name is not known."""
    return JsplitError(
        f"{name} seems to hold confidences, which no other does, got a name that is "
        "not known; say which they are with columns, as in confidence="
        f"{name}, or that there are none with confidence="
    )


def exit_key(name: Any) -> int | str:
    """Returns the number of an exit, or its name if it is no whole number."""
    text = str(name).strip()
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else text


def order(keys: Iterable[int | str]) -> list[int | str] | None:
    """Returns exits in the order of their numbers, or None if they have none.

    A number may follow a name that all share, as in exit_3.
    """
    keys = list(keys)
    parts = [re.fullmatch(r"(\D*)(\d{1,18})", str(key), re.ASCII) for key in keys]
    heads = {part[1] for part in parts if part}
    if None in parts or len(heads) != 1:
        return None
    numbers = {key: int(part[2]) for key, part in zip(keys, parts, strict=True) if part}
    return sorted(keys, key=numbers.__getitem__)


def _checked(stated: Mapping[str, str] | None) -> dict[str, str]:
    if stated is None:
        return {}
    if not isinstance(stated, Mapping):
        raise JsplitError(
            "columns must be a dict such as {'confidence': 'conf_branch_{exit}'}, got "
            f"{shown(stated)}"
        )
    for quantity, name in stated.items():
        checks.choice("each key of columns", quantity, KNOWN)
        if not isinstance(name, str) or name.count("{exit}") > 1:
            raise JsplitError(
                f"columns: {quantity} must be a name such as 'conf_{{exit}}', got "
                f"{shown(name)}"
            )
        if "{exit}" in name and quantity in ("sample", "exit", "label"):
            raise JsplitError(f"columns: {quantity} has no {{exit}}, got {shown(name)}")
    return dict(stated)


def _matching(quantity: str, pattern: str, names: list[str]) -> dict[int | str, str]:
    """Returns the names that fit a stated one, by exit; capitals count if they must."""
    if "{exit}" not in pattern:
        exact = [name for name in names if name == pattern]
        blind = [name for name in names if name.lower() == pattern.lower()]
        if len(found := exact or blind) == 1:
            return {0: found[0]}
    else:
        before, after = map(re.escape, pattern.split("{exit}"))
        regex = re.compile(f"{before}(.+){after}", re.IGNORECASE)
        exits: dict[int | str, str] = {}
        for name in names:
            if match := regex.fullmatch(name):
                _add(exits, quantity, exit_key(match[1]), name)
        if exits:
            return exits
    raise JsplitError(
        f"columns: {quantity} must be a name in the file, got {shown(pattern)} beside "
        f"{shown(names, LONG)}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _numbered(name: str) -> tuple[str, int] | None:
    """Returns quantity and exit of a name such as conf_branch_2 or exit2_conf."""
    first, second = (regex.fullmatch(name.lower()) for regex in _BY_EXIT)
    for match, what, number in ((first, 1, 2), (second, 2, 1)):
        if match and len(match[number]) < 19:
            quantity, _ = _PLACES.get(_plain(match[what]), ("", 0))
            if quantity in (*PER_EXIT, *PER_CLASS):
                return quantity, int(match[number])
    return None


def _add(exits: dict[int | str, str], quantity: str, key: int | str, name: str) -> None:
    if key in exits:
        raise JsplitError(
            f"{quantity} of exit {key} must be in one column, got {exits[key]!r} and "
            f"{name!r}; say which with columns"
        )
    exits[key] = name


def _add_numbers_only(
    whole: dict[str, list[str]],
    by_exit: dict[str, dict[int | str, str]],
    names: list[str],
) -> None:
    """Takes columns named 0, 1, 2, ... beside labels alone for predictions."""
    exits = {exit_key(name): name for name in names if isinstance(exit_key(name), int)}
    if whole.keys() <= {"label", "sample"} and "label" in whole and len(exits) > 1:
        by_exit["prediction"] = exits


def _ordered(exits: dict[int | str, str]) -> dict[int | str, str]:
    return {key: exits[key] for key in order(exits) or exits}
