"""Builds the API reference from the docstrings: python .github/reference.py FOLDER."""

import pathlib
import sys

import pdoc

import jsplit


def build(folder: pathlib.Path) -> None:
    """Writes a page per public module.

    Args:
        folder: where to write, made if need be.
    """
    # pdoc looks into dictionaries of modules, where names that load when used are not.
    for module in (jsplit, jsplit.recording, jsplit.report, jsplit.training):
        for name in module.__all__:
            setattr(module, name, getattr(module, name))
    footer = f"jsplit {jsplit.__version__}"
    pdoc.render.configure(docformat="google", footer_text=footer)
    pdoc.pdoc("jsplit", "jsplit.data.distort", output_directory=folder)


if __name__ == "__main__":
    build(pathlib.Path(sys.argv[1]))
