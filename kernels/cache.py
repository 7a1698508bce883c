"""Where compiled kernels are kept between processes, and when they go stale.

Numba's own cache looks only at the file that defines a function: a cached caller keeps
running the old machine code of a callee that was edited in another file. Here the stamp is
a digest of *every* source file that a function may be compiled from, so one edited line
makes all of them compile again.
"""

import functools
import hashlib
import logging
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

from numba.core import config
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    _CacheLocator,
)

log = logging.getLogger("backproof.compile")

LIBRARY = tuple(Path(__file__).parents[1] / name for name in ("kernels", "mlp"))
"""The packages whose functions are cached. Others are not: what they are compiled from cannot
be known, and a stale answer is worse than a slow one."""


@functools.cache
def sources_digest() -> str:
    """SHA-256 of every Python source of the library, names included."""
    digest = hashlib.sha256()
    for package in LIBRARY:
        for source in sorted(package.rglob("*.py")):
            digest.update(str(source.relative_to(package.parent)).encode() + b"\0")
            digest.update(source.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def cache_directory(package: Path) -> Path | None:
    """The first writable of: NUMBA_CACHE_DIR, the package's __pycache__, the user's cache.

    Code compiled with bounds checks lives apart, because Numba's key does not tell it from
    code compiled without. Returns None where nothing can be written: then every process
    compiles for itself, which is slow but works.
    """
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = [package / "__pycache__", user_cache / "backproof" / package.name]
    if config.CACHE_DIR:
        candidates.insert(0, Path(config.CACHE_DIR) / package.name)
    for candidate in candidates:
        directory = candidate / "boundscheck" if config.BOUNDSCHECK else candidate
        try:
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError:
            continue
        return directory
    return None


class SourcesLocator(_CacheLocator):
    """Tells Numba the directory and the stamp of one function's cache files."""

    def __init__(self, function, directory, file):
        self._function = function
        self._directory = directory
        self._py_file = file  # Numba names it where it warns that something cannot be cached

    @classmethod
    def from_function(cls, py_func, py_file):
        directory = cache_directory(Path(py_file).parent)
        return None if directory is None else cls(py_func, directory, py_file)

    def get_cache_path(self):
        return str(self._directory)

    def get_source_stamp(self):
        return sources_digest()

    def get_disambiguator(self):
        return str(self._function.__code__.co_firstlineno)


class SourcesCacheImpl(CompileResultCacheImpl):
    _locator_classes: list[type[Any]] = [SourcesLocator]


class ChecksummedFile(IndexDataCacheFile):
    """Numba's cache files, with a digest before the machine code: a byte that changed on the
    disk would otherwise be executed.
    """

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(data).digest() + data)

    def _load_data(self, name):
        content = Path(self._data_path(name)).read_bytes()
        size = hashlib.sha256().digest_size
        if hashlib.sha256(content[size:]).digest() != content[:size]:
            raise ValueError("wrong checksum")
        return pickle.loads(content[size:])


class SourcesCache(FunctionCache):
    """Numba's function cache with our stamp, which never fails the call that it serves."""

    _impl_class = SourcesCacheImpl

    def __init__(self, function):
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = ChecksummedFile(
            locator.get_cache_path(), self._impl.filename_base, locator.get_source_stamp()
        )

    def load_overload(self, sig, target_context):
        """The compiled function, or None, which makes Numba compile it.

        A damaged file raises whatever `pickle` chances upon; compiling again is always
        right, and with the index emptied, saving afterwards replaces the file.
        """
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:
            name = self._py_func.__name__
            log.warning("the cache of %s is damaged (%s); it is made again", name, error)
            found = None
            self._forget()
        if found is None:
            log.info("compiling %s", self._py_func.__name__)
        return found

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.warning("the cache of %s cannot be written (%s)", self._py_func.__name__, error)

    def _forget(self):
        try:
            self.flush()
        except OSError as error:
            log.warning("the cache of %s cannot be emptied (%s)", self._py_func.__name__, error)


def use_cache(dispatcher) -> None:
    """Make `dispatcher` load from and save to the cache, if it is ours and there is one."""
    folder = Path(dispatcher.py_func.__code__.co_filename).parent
    is_ours = any(folder.is_relative_to(package) for package in LIBRARY)
    if is_ours and cache_directory(folder) is not None:
        dispatcher._cache = SourcesCache(dispatcher.py_func)
