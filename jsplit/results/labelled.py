"""What every kind of result shares: labelled data, a file, a picture of itself.

Here: `Labelled`, the base of all kinds, and `expect`, which refuses the wrong kind.
Not here: the kinds (`result`, `tables`), what is in a file (`files`).
"""

import dataclasses
import os
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from jsplit.results import files
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import DataArray, Dataset
else:
    DataArray = DataFrame = Dataset = Any

Kind = TypeVar("Kind", bound="Labelled")


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Labelled:
    """Labelled numbers of one kind, with their provenance.

    Attributes:
        data: the numbers, an `xarray.Dataset`; its attributes say where they come
            from.
    """

    data: Dataset

    kind: ClassVar[str]  # as stored in a file
    made_by: ClassVar[str]  # what returns it
    needs: ClassVar[tuple[str, ...]]  # dimensions and variables that it always has

    def __post_init__(self) -> None:
        if not hasattr(self.data, "data_vars"):
            raise JsplitError(
                f"{type(self).__name__} must hold an xarray.Dataset, got "
                f"{type(self.data).__name__}"
            )
        missing = [name for name in self.needs if name not in self.data.variables]
        if missing:
            raise JsplitError(
                f"{type(self).__name__} must hold data of {self.made_by}, got a "
                f"Dataset without {', '.join(missing)}"
            )

    def __getitem__(self, name: str) -> DataArray:
        """Returns one of the variables or coordinates."""
        return self.data[name]

    @property
    def attrs(self) -> dict[str, Any]:
        """Where the numbers come from: versions, seed, stream, costs and so on."""
        return dict(self.data.attrs)

    @property
    def policies(self) -> list[str]:
        """Labels of the policies, in order."""
        return [str(label) for label in self.data["policy"].values]

    def to_dataframe(self) -> DataFrame:
        """Returns the numbers as a tidy `pandas.DataFrame`, indexed by their labels."""
        return self.data.to_dataframe()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one compressed file, whole or not at all.

        It is a gzipped netCDF file that xarray opens too, best called NAME.nc.gz. It
        carries its kind, a format version and a checksum that `load` verifies.

        Args:
            path: the file; an existing one is replaced.

        Raises:
            JsplitError: if it cannot be written.
        """
        files.write(self.data, self.kind, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Returns what `save` wrote.

        Args:
            path: the file.

        Raises:
            JsplitError: if it is missing, damaged, foreign, of another kind or written
                by a newer jsplit.
        """
        data, kind = files.read(path)
        if kind != cls.kind:
            raise JsplitError(
                f"{os.fspath(path)} must hold a {cls.kind}, got a {kind}: load it with "
                f"jsplit.{_class_of(kind)}.load"
            )
        try:
            return cls(data)
        except JsplitError as error:
            raise JsplitError(f"{os.fspath(path)}: {error}") from None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{n} {self._plural(name, n)}" for name, n in self._sizes())
        return f"{type(self).__name__}({self.attrs.get('dataset', '?')}: {sizes})"

    def _repr_html_(self) -> str:
        """Shows the numbers in a notebook, as a table where they are one."""
        return f"<p>{self!r}</p>{self._html()}"

    def _html(self) -> str:
        return self.data._repr_html_()

    def _sizes(self) -> list[tuple[str, int]]:
        dims = ("policy", "replica", "condition", "metric")
        return [(one, self.data.sizes[one]) for one in dims if one in self.data.sizes]

    @staticmethod
    def _plural(name: str, number: int) -> str:
        if number == 1:
            return name
        return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def expect(name: str, value: Any, *kinds: type[Kind]) -> Kind:
    """Returns `value` if it is of one of these kinds of results, or raises.

    Args:
        name: of the argument.
        value: what was given.
        *kinds: what is allowed.
    """
    if isinstance(value, kinds):
        return value
    *others, last = map(_described, kinds)
    wanted = f"{', '.join(others)} or {last}" if others else last
    got = type(value).__name__
    if isinstance(value, Labelled):
        got = _described(type(value))
    elif hasattr(value, "to_netcdf"):
        got = "an xarray Dataset; the kind of result that it is wraps it"
    raise JsplitError(f"{name} must be {wanted}, got {got}")


def _described(kind: type[Labelled]) -> str:
    article = "an" if kind.__name__[0] in "AEIO" else "a"
    return f"{article} {kind.__name__} from {kind.made_by}"


def _class_of(kind: str) -> str:
    names = {x.kind: x.__name__ for x in _all_kinds(Labelled) if hasattr(x, "kind")}
    return names.get(kind, "Result")


def _all_kinds(base: type[Labelled]) -> list[type[Labelled]]:
    return [one for sub in base.__subclasses__() for one in (sub, *_all_kinds(sub))]
