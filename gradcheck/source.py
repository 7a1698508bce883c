"""Where a target comes from: `module:Class`, `path/to/hw1.py:MLP`, or a course's directory.

A homework is several files that import one another. The folders that they may lie in are on
the path for the time of the import, and what was imported from there is taken out of
`sys.modules` again, so that two homeworks with modules of the same names do not mix.
"""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

NETWORK = "MLP"
"""The class that a path without a name means."""

FILES = ("hw1/hw1.py", "hw1.py", "mlp.py", "network.py", "model.py")
"""What is looked for in a directory, in this order."""

COMPANIONS = ("activation", "activations", "loss", "losses", "criterion", "linear", "batchnorm",
              "mytorch.activation", "mytorch.loss", "mytorch.linear", "mytorch.batchnorm",
              "mytorch.nn", "mytorch")  # fmt: skip
"""Modules beside a homework in which its other classes may be."""

KEPT = {"gradcheck", "numpy", "__main__"}
"""Modules that stay whatever a homework calls its own."""


class UnknownTargetError(ValueError):
    """A target that names nothing that exists."""


@dataclass
class Source:
    """A loaded target.

    Attributes
    ----------
    name : as the caller wrote it.
    attribute : the name behind the colon.
    module : the module that it is in.
    modules : those that came with it.
    root : the folder of a file; None of an importable module.
    """

    name: str
    attribute: str
    module: ModuleType
    modules: dict[str, ModuleType] = field(default_factory=dict)
    root: Path | None = None

    @property
    def value(self) -> Any:
        return getattr(self.module, self.attribute)

    def find(self, name: str) -> Any:
        """A class that stands beside the target: in its module, or in one that came with it."""
        for module in (self.module, *self.modules.values()):
            if hasattr(module, name):
                return getattr(module, name)
        if self.root is not None:
            with importing(self.root, self.modules):
                for companion in COMPANIONS:
                    try:
                        module = importlib.import_module(companion)
                    except ImportError:
                        continue
                    if is_beside(module, self.root) and hasattr(module, name):
                        return getattr(module, name)
        return None

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """With its folders and modules in place, for what it imports while it runs."""
        if self.root is None:
            yield
        else:
            with importing(self.root, self.modules):
                yield


def open_source(target: str) -> Source:
    """Import what a target names."""
    place, colon, attribute = split(target)
    path = Path(place)
    is_folder = bool(place) and path.is_dir() and not (colon and is_module(place))
    if place.endswith(".py") or is_folder:
        return from_file(target, path, attribute or NETWORK)
    if not (place and colon and attribute) or place.startswith("."):
        expected = "expected module:attribute, path/to/file.py:Class or a directory"
        raise UnknownTargetError(f"target is {target!r}, {expected}")
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # the module is there, and looks for another
        raise UnknownTargetError(f"target {target}: there is no module {place!r}") from None
    return named(Source(target, attribute, module))


def is_module(place: str) -> bool:
    """Whether a name that is also that of a folder can be imported, as a package."""
    if not place.replace(".", "_").isidentifier() or place.startswith("."):
        return False
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def split(target: str) -> tuple[str, str, str]:
    """The place and the name; a drive letter's colon is none of ours."""
    place, colon, attribute = target.rpartition(":")
    if not colon or (len(place) == 1 and attribute[:1] in ("\\", "/")):
        return target, "", ""
    return place, colon, attribute


def from_file(target: str, path: Path, attribute: str) -> Source:
    file = path.resolve()
    if file.is_dir():
        found = next((file / name for name in FILES if (file / name).is_file()), None)
        if found is None:
            raise UnknownTargetError(f"target {target}: none of {', '.join(FILES)} is in there")
        file = found
    if not file.is_file():
        raise UnknownTargetError(f"target {target}: there is no file {file}")
    modules: dict[str, ModuleType] = {}
    with importing(file.parent, modules):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        spec.loader.exec_module(module)
    return named(Source(target, attribute, module, modules, file.parent))


def named(source: Source) -> Source:
    if not hasattr(source.module, source.attribute):
        raise UnknownTargetError(
            f"target {source.name}: module {source.module.__name__!r} has no {source.attribute!r}"
        )
    return source


def folders(root: Path) -> list[str]:
    """Where the files of a homework import one another from."""
    places = (root, root / "mytorch", root.parent, root.parent / "mytorch")
    return [str(place) for place in places if place.is_dir()]


@contextmanager
def importing(root: Path, modules: dict[str, ModuleType]) -> Iterator[None]:
    """Within, the homework's folders lead the path, and its modules are those imported.

    Modules of the same names from elsewhere are out of the way for as long, and back after.
    """
    path, before = list(sys.path), dict(sys.modules)
    theirs = {module.name for module in pkgutil.iter_modules(folders(root))} - KEPT
    hidden = {
        name: module
        for name, module in before.items()
        if name not in modules and name.partition(".")[0] in theirs
    }
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(modules)
    sys.path[:0] = folders(root)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if before.get(name) is not module and is_beside(module, root):
                modules[name] = module
                del sys.modules[name]
        sys.modules.update(hidden)


def is_beside(module: Any, root: Path) -> bool:
    """Whether a module's file is one of the homework's."""
    places = [Path(place) for place in folders(root)]
    file = getattr(module, "__file__", None)
    files = [Path(file)] if file else [Path(p) for p in getattr(module, "__path__", ())]
    return any(place == f.parent or place in f.parents or place == f for f in files
               for place in places if "site-packages" not in f.parts)  # fmt: skip
