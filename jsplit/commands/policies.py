"""`jsplit policies`."""

import dataclasses
import sys
from typing import Any

from jsplit.commands.common import AsJson, print_json
from jsplit.types import JsplitError


@dataclasses.dataclass(frozen=True)
class Policies:
    """List the policies, what they do and the numbers they take."""

    as_json: AsJson = False

    def run(self) -> None:
        """Prints the list."""
        from jsplit.policies import registry

        for name, package in registry.hidden_policies().items():
            print(
                f"policy {name} of package {package} is not used: jsplit has that name",
                file=sys.stderr,
            )
        rows = [_row(name) for name in registry.policy_names()]
        if self.as_json:
            print_json(rows)
            return
        import rich
        from rich.markup import escape
        from rich.table import Table

        table = Table("policy", "numbers (defaults)", "what it does")
        for row in rows:
            numbers = ", ".join(f"{k}={v:g}" for k, v in row["numbers"].items())
            own = row["package"] == "jsplit"
            name = row["policy"] if own else f"{row['policy']} ({row['package']})"
            table.add_row(name, numbers, escape(row["summary"]))
        rich.print(table)


def _row(name: str) -> dict[str, Any]:
    """Returns what is known of a policy; if it is broken, in what way."""
    from jsplit.policies import registry

    about = {"policy": name, "package": registry.policy_package(name)}
    try:
        numbers = registry.policy_numbers(name)
        return about | {"numbers": numbers, "summary": registry.policy_summary(name)}
    except JsplitError as error:
        return about | {"numbers": {}, "summary": str(error)}
