"""The file of a sweep: nothing lost, nothing twice, nothing of others overwritten."""

import errno
import io
import json
import os

import pytest

from mlp.stress import store
from mlp.stress.grid import Grid
from mlp.stress.store import Store, read

GRID = Grid(depth=(1, 2), width=(3,), seeds=3)
CELLS = list(GRID)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


def fill(path, cells):
    with Store(path, GRID) as opened:
        for i, cell in enumerate(cells):
            opened.add(cell, {"number": i, "é": "σ"})


def test_what_is_written_is_read(path):
    fill(path, CELLS)
    grid, lines = read(path)
    assert grid == json.loads(json.dumps(GRID.to_dict()))
    assert [line["key"] for line in lines] == [cell.key for cell in CELLS]
    assert [line["cell"] for line in lines] == [vars(cell) for cell in CELLS]
    assert lines[4]["result"] == {"number": 4, "é": "σ"}


def test_cut_anywhere_loses_one_line_at_most(path, tmp_path):
    """Every prefix of a file: the whole lines of it are kept, and what is added fits on."""
    fill(path, CELLS[:2])
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        cut = tmp_path / "cut.jsonl"
        cut.write_bytes(whole[:size])
        expected = max(whole[:size].count(b"\n") - 1, 0)
        with Store(cut, GRID) as opened:
            assert len(opened.done) == expected
            for i, cell in enumerate(CELLS[:2]):
                if cell.key not in opened.done:
                    opened.add(cell, {"number": i, "é": "σ"})
        assert cut.read_bytes() == whole


@pytest.mark.parametrize("garbage", [b'{"key": "x"\n', b"\0\0\0\n", b"\xff\n", b"[1]\n", b"\n"])
def test_a_last_line_that_is_none_is_dropped(path, garbage):
    fill(path, CELLS[:2])
    whole = path.read_bytes()
    path.write_bytes(whole + garbage)
    with Store(path, GRID) as opened:
        assert opened.dropped
        assert len(opened.done) == 2
    assert path.read_bytes() == whole


def changed_line(number, change):
    def edit(text):
        lines = text.splitlines(keepends=True)
        lines[number] = change(lines[number])
        return "".join(lines)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: "my thesis\n", "is not a file of a sweep"),
        (lambda text: "my thesis", "is not a file of a sweep"),
        (lambda text: "[1, 2]\n", "is not a file of a sweep"),
        (changed_line(0, lambda s: s.replace('"version": 1', '"version": 7')), "has version 7"),
        (
            changed_line(0, lambda s: s.replace('"depth": [1, 2]', '"depth": [1, 9]')),
            r"of another grid: depth \[1, 9\], here \[1, 2\]",
        ),
        (changed_line(2, lambda s: s[:20] + "\n"), "line 3 is .*, expected a cell"),
        (lambda text: text + text.splitlines(keepends=True)[2], "line 5 has a cell .* second time"),
        (changed_line(2, lambda s: s.replace("depth=1", "depth=8")), "depth=8.* of the grid"),
    ],
)
def test_a_file_that_does_not_fit_is_left_as_it_is(path, edit, message):
    fill(path, CELLS[:3])
    path.write_text(edit(path.read_text()))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        Store(path, GRID)
    assert path.read_bytes() == before


def test_a_cell_is_counted_once(path):
    fill(path, CELLS[:1])
    with Store(path, GRID) as opened, pytest.raises(ValueError, match="again, expected it once"):
        opened.add(CELLS[0], {})


def test_two_sweeps_at_once_are_refused(path):
    pytest.importorskip("fcntl", reason="this system has no locks of files")
    with Store(path, GRID):
        before = path.read_bytes()
        with pytest.raises(ValueError, match="in use by another sweep"):
            Store(path, GRID)
        assert path.read_bytes() == before
    Store(path, GRID).__exit__(None, None, None)


@pytest.mark.parametrize("place", ["missing/results.jsonl", "file/results.jsonl", "folder"])
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"cannot be written: \w+"):
        Store(tmp_path / place, GRID)


class Full(io.BytesIO):
    """A file on a disk that is full."""

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said(monkeypatch, path):
    monkeypatch.setattr(store, "opened", lambda path: Full())
    monkeypatch.setattr(store, "lock", lambda file, path: None)
    with pytest.raises(OSError, match="cannot be written: No space left"):
        Store(path, GRID)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this system has no /dev/zero")
def test_what_is_no_file_is_refused():
    with pytest.raises(ValueError, match="/dev/zero is not a file"):
        Store("/dev/zero", GRID)
