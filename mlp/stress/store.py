"""The results of a sweep on disk: one JSONL file, to which cells are added as they are done.

The first line says what the file is: format, version and grid. Each further line is one cell:
its description and its result. A line that was cut by a crash is dropped, and done again.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from mlp.stress.grid import Cell, Grid, cell_to_dict

FORMAT = "backproof sweep"
VERSION = 1
"""Of the lines, and of what is measured: results of another version are not mixed with these."""

Line = dict[str, Any]


class Store:
    """An open file of results. Used as a context; one at a time may have the file open.

    Attributes
    ----------
    done : the keys of the cells that are in the file.
    dropped : whether a cut line was taken away.
    """

    def __init__(self, path: str | os.PathLike[str], grid: Grid):
        self.path = Path(path)
        self._file = opened(self.path)
        try:
            lock(self._file, self.path)
            self.done, end = self._look(grid)
            self.dropped = end < self._file.seek(0, os.SEEK_END)
            if self.dropped:
                self._file.truncate(end)
            self._file.seek(end)
            if end == 0:
                self._write(header(grid))
        except BaseException:
            self._file.close()
            raise

    def _look(self, grid: Grid) -> tuple[set[str], int]:
        """The keys in the file, and where what is whole in it ends."""
        self._file.seek(0)
        first = self._file.readline()
        if as_bytes(header(grid)).startswith(first):
            if not first.endswith(b"\n"):
                return set(), 0  # empty, or cut in the header
        else:
            check_header(self.path, first, grid)
        keys = {cell.key for cell in grid}
        done: set[str] = set()
        end = len(first)
        for line, found in whole_lines(self._file, self.path):
            if found["key"] not in keys:
                raise ValueError(f"{self.path}: got cell {found['key']}, expected one of the grid")
            done.add(found["key"])
            end += len(line)
        return done, end

    def add(self, cell: Cell, result: Line) -> None:
        """Write the cell and its result; on disk, as far as the process is concerned, at once.

        Raises
        ------
        ValueError
            Where the cell is there already: nothing is counted twice.
        """
        if cell.key in self.done:
            raise ValueError(f"{self.path}: got cell {cell.key} again, expected it once")
        self._write({"key": cell.key, "cell": cell_to_dict(cell), "result": result})
        self.done.add(cell.key)

    def _write(self, line: Line) -> None:
        """One line, whole or not at all, unless the disk is full."""
        try:
            self._file.write(as_bytes(line))
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


def read(path: str | os.PathLike[str]) -> tuple[Line, list[Line]]:
    """The grid, as a dict, and the lines of the cells, of a file that a sweep has written."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            first = check_format(path, file.readline())
            return first["grid"], [found for _, found in whole_lines(file, path)]
    except OSError as error:
        raise type(error)(f"{path} cannot be read: {error.strerror}") from error


def header(grid: Grid) -> Line:
    """The first line."""
    return {"format": FORMAT, "version": VERSION, "grid": grid.to_dict()}


def as_bytes(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parsed(line: bytes) -> Line | None:
    """The object in a line; None where it is none, or is cut."""
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def whole_lines(file: IO[bytes], path: Path) -> Iterator[tuple[bytes, Line]]:
    """Line by line, as bytes and as object; a last one that is cut is left out."""
    lines = enumerate(file, start=2)
    seen: set[str] = set()
    for number, line in lines:
        found = parsed(line)
        if found is None or not {"key", "cell", "result"} <= found.keys():
            if next(lines, None) is None:
                return
            raise ValueError(
                f"{path}: line {number} is {line[:40]!r}, expected a cell; nothing was changed: "
                "without that line its cell is run again"
            )
        if found["key"] in seen:
            raise ValueError(f"{path}: line {number} has a cell for the second time")
        seen.add(found["key"])
        yield line, found


def check_format(path: Path, line: bytes) -> Line:
    """What the first line says; an error where it is not that of a sweep of this version."""
    first = parsed(line)
    if first is None or first.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a file of a sweep, expected a new or an empty one, or one to go on "
            "with; nothing was changed"
        )
    if first.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {first.get('version')!r}, expected {VERSION}: results of two "
            "versions are not mixed; nothing was changed"
        )
    return first


def check_header(path: Path, line: bytes, grid: Grid) -> None:
    """An error that says what is different in a file of another grid."""
    theirs, ours = check_format(path, line).get("grid", {}), grid.to_dict()
    names = [name for name in ours if theirs.get(name) != ours[name]]
    if names:
        parts = (f"{name} {short(theirs.get(name))}, here {short(ours[name])}" for name in names)
        raise ValueError(
            f"{path} is of another grid: {'; '.join(parts)}; expected the same grid, or another "
            "file; nothing was changed"
        )


def short(value: Any) -> str:
    """A value in at most 40 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def opened(path: Path) -> IO[bytes]:
    """The file, to read and to add to; it is made where there is none."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path} is not a file, expected one, or a new name")
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> OSError:
    """The same kind of error, in one line that names the file."""
    return type(error)(f"{path} cannot be written: {error.strerror}")


def lock(file: IO[bytes], path: Path) -> None:
    """Keep other sweeps out until the file is closed; where the system has no locks, hope."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"{path} is in use by another sweep, expected one sweep at a time"
        ) from None
    except OSError:
        return
