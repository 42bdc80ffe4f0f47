"""Policies of other installed packages, by the entry point group `jsplit.policies`.

Here: finding and loading them, only when a name is not built in or names are listed.
Not here: the built-in ones (`registry`). A package says in its pyproject.toml:

    [project.entry-points."jsplit.policies"]
    shrinking = "their_package.policies:shrinking"

The function takes numbers by keyword, all with defaults, and returns a policy of this
name. The policy then has a name wherever a built-in one has.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from jsplit import checks
from jsplit.policies.base import Policy
from jsplit.types import JsplitError

GROUP = "jsplit.policies"
_FAILURES = (Exception, SystemExit)  # others' code may not end the command

Factory = Callable[..., Policy]


def entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """Returns what installed packages offer, by name; two may offer the same."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda one: one.name):
        found.setdefault(entry.name, []).append(entry)
    return found


def package_of(entry: metadata.EntryPoint) -> str:
    """Returns the name of the distribution that offers an entry point."""
    return entry.dist.name if entry.dist else "an unknown package"


def load(name: str, entries: list[metadata.EntryPoint]) -> Factory:
    """Returns the factory of a policy of another package.

    Args:
        name: of the policy.
        entries: those of this name, at least one.

    Raises:
        JsplitError: if several packages offer the name, or theirs cannot be loaded or
            is no function of numbers with defaults.
    """
    if len({entry.value for entry in entries}) > 1:
        packages = ", ".join(map(package_of, entries))
        raise JsplitError(f"policy {name} is offered by several packages: {packages}")
    whose = f"policy {name} of package {package_of(entries[0])}"
    try:
        factory = entries[0].load()
        numbers = numbers_of(factory)
    except _FAILURES as error:  # whatever their modules raise when they are imported
        raise JsplitError(
            f"{whose} cannot be loaded: {type(error).__name__}: "
            f"{checks.shown(str(error))}"
        ) from error
    for number, default in numbers.items():
        if isinstance(default, bool) or not isinstance(default, int | float):
            raise JsplitError(f"{whose}: {number} must have a number as its default")

    def make(**given: Any) -> Policy:
        try:
            policy = factory(**given)
        except JsplitError:
            raise
        except _FAILURES as error:
            raise JsplitError(
                f"{whose} cannot be made: {type(error).__name__}: "
                f"{checks.shown(str(error))}"
            ) from error
        if not isinstance(policy, Policy) or policy.name != name:
            raise JsplitError(
                f"{whose} must return a Policy of this name, got "
                f"{checks.shown(getattr(policy, 'name', policy))}"
            )
        return policy

    make.__signature__ = inspect.signature(factory)  # type: ignore[attr-defined]
    make.__doc__ = factory.__doc__
    return make


def numbers_of(factory: Factory) -> Mapping[str, Any]:
    """Returns the numbers that a factory takes with their defaults."""
    parameters = inspect.signature(factory).parameters.values()
    return {one.name: one.default for one in parameters}
