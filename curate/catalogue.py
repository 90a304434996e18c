"""What filters there are: a name, where its module lies, and what its source is. Workers import by these paths."""

import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from curate.errors import CeterisError
from curate.grouping import Grouping
from curate.model import Model
from curate.signal import Signal

Filter = Signal | Grouping | Model
OWN = "(filters of your own: --filters FOLDER)"


@dataclass(frozen=True)
class Entry:
    """One filter file: `source` digests it and the private files it imports; `search` is a folder to import from, for a user's own."""

    name: str
    module: str
    source: str
    search: str | None = None

    def load(self) -> Filter:
        """Import it. CeterisError if the file cannot be imported, or does not hold what its name says."""
        if self.search and self.search not in sys.path:
            sys.path.insert(0, self.search)
        try:
            module = importlib.import_module(self.module)
        except Exception as error:
            what = f"the filter {self.name} cannot be imported: {type(error).__name__}: {error}"
            raise CeterisError(what, where=self._file(), fix="correct the file, or install what it needs") from error
        found = getattr(module, self.name, None)
        if not isinstance(found, Signal | Grouping | Model):
            raise CeterisError(
                f"{self.module} defines no signal, grouping or model called {self.name}", where=self.module, fix=f"name it {self.name}"
            )
        return found

    def _file(self) -> str:
        return f"{self.search}/{self.module}.py" if self.search else self.module


Catalogue = Mapping[str, Entry]


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """The installed releases of the packages a filter declares."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError as error:
            raise CeterisError(f"the package {package} is not installed", fix=f"pip install {_offered(package)}") from error
    return found


def _offered(package: str) -> str:
    """What to install: our own extra where one holds the package."""
    try:
        ours = requires("ceteris") or []
    except PackageNotFoundError:  # run from its sources
        ours = []
    found = [re.fullmatch(rf"{re.escape(package)}(?![\w.-]).*extra == [\"'](.+)[\"'].*", one) for one in ours]
    extras = [one[1] for one in found if one and one[1] != "test"]
    return f"'ceteris[{extras[0]}]'" if extras else package
