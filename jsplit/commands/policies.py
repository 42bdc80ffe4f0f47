"""`jsplit policies`."""

import dataclasses

from jsplit.commands.common import AsJson, print_json


@dataclasses.dataclass(frozen=True)
class Policies:
    """List the policies, what they do and the numbers they take."""

    as_json: AsJson = False

    def run(self) -> None:
        """Prints the list."""
        from jsplit.policies import registry

        rows = [
            {
                "policy": name,
                "numbers": registry.policy_numbers(name),
                "summary": registry.policy_summary(name),
            }
            for name in registry.policy_names()
        ]
        if self.as_json:
            print_json(rows)
            return
        import rich
        from rich.table import Table

        table = Table("policy", "numbers (defaults)", "what it does")
        for row in rows:
            numbers = ", ".join(f"{k}={v:g}" for k, v in row["numbers"].items())
            table.add_row(row["policy"], numbers, row["summary"])
        rich.print(table)
