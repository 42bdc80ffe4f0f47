"""What the base install leaves out: names that load when used, errors that name extras.

Here: which extra brings which library, and the two helpers around such imports. Not
here: the versions, which pyproject.toml states.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping

# By the name a library is imported under; the extras are those of `pyproject.toml`.
EXTRA_OF = {
    "matplotlib": "plot",
    "flax": "models",
    "optax": "models",
    "orbax": "models",
    "safetensors": "models",
    "tokenizers": "models",
    "tensorflow_datasets": "data",
    "importlib_resources": "data",
    "PIL": "data",
    "array_record": "data",
    "pyarrow": "parquet",
    "tensorflow": "prepare",
    "distributed": "cluster",
}


class MissingExtra(ImportError):
    """A library is not installed, and the message says which extra brings it."""


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Around imports: says which extra to install where a library is not installed.

    Other errors pass, such as those of a library that is installed and broken.

    Args:
        what: who needs the library, such as "jsplit.models".

    Raises:
        MissingExtra: if the body imports a library that is not installed and that an
            extra brings.

    Example:
        >>> with naming("jsplit.models"):
        ...     raise ModuleNotFoundError("No module named 'flax'", name="flax")
        Traceback (most recent call last):
        ...
        jsplit.extras.MissingExtra: jsplit.models needs flax: \
pip install "jsplit[models]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get(error.name or "")
        if extra is None:
            raise
        raise MissingExtra(
            f'{what} needs {error.name}: pip install "jsplit[{extra}]"',
            name=error.name,
        ) from error


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Returns the `__getattr__` of a package that imports names when they are used.

    Args:
        package: its name, such as "jsplit.report".
        homes: by public name the module of the package that has it, or which it is.

    Example:
        >>> find = lazily("jsplit.environment", {"drift": "drift", "Costs": "costs"})
        >>> find("drift").__name__, find("Costs").__name__
        ('jsplit.environment.drift', 'Costs')
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with naming(f"{package}.{name}"):
            home = importlib.import_module(f"{package}.{homes[name]}")
            # A module of that name, unless it holds an object of its own name.
            is_home = homes[name].rpartition(".")[2] == name and not hasattr(home, name)
            return home if is_home else getattr(home, name)

    return find
