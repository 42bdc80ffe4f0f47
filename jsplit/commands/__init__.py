"""The subcommands of `jsplit`, one file each: a frozen dataclass and its `run`.

Here: what a command takes, and how it shows or writes what one function returns. Not
here: any computation. `cli` puts them together.
"""
