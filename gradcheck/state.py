"""Snapshot: all that can be reached from an object, to be put back as it was."""

import random
from collections import deque
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

SKIPPED = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, str, bytes, int, float)
"""What holds nothing that a layer changes."""


class TooLarge(Exception):  # noqa: N818, a limit, not an error
    """More objects than the caller wants to be looked at."""


class Snapshot:
    """The state of an object: attributes, items, contents of arrays, random generators.

    Arrays keep their identity: `restore` writes the old numbers into the same memory, so
    views and references stay what they were. NumPy's and Python's global generators belong to
    it, because a layer may draw from them.

    Raises
    ------
    TooLarge : where more than `most` objects are reached, if that is given.
    """

    def __init__(self, root: Any, most: int | None = None):
        self.most = most
        self.seen: set[int] = set()
        self.holders: list[tuple[Any, Any]] = []
        self.arrays: list[tuple[Any, Any]] = []
        self.generators: list[tuple[Any, Any]] = []
        self.numpy_state = np.random.get_state()  # noqa: NPY002, theirs may be this one
        self.python_state = random.getstate()
        self.has_globals = True
        self.visit(root)

    def visit(self, value: Any) -> None:
        """Notes the value, and what it holds, once."""
        if isinstance(value, SKIPPED) or value is None or id(value) in self.seen:
            return
        self.seen.add(id(value))
        if self.most is not None and len(self.seen) > self.most:
            raise TooLarge
        if isinstance(value, np.ndarray):
            if value.flags.writeable and not value.dtype.hasobject:
                self.arrays.append((value, value.copy()))
        elif isinstance(value, np.random.Generator):
            self.generators.append((value.bit_generator, value.bit_generator.state))
        elif isinstance(value, (np.random.RandomState, random.Random)):
            self.holders.append((value, state_of(value)))
        elif isinstance(value, (dict, list, set, deque)):
            self.holders.append((value, value.copy()))
            for item in value.values() if isinstance(value, dict) else value:
                self.visit(item)
        elif isinstance(value, (tuple, frozenset)):
            for item in value:
                self.visit(item)
        else:
            self.visit_attributes(value)

    def visit_attributes(self, value: Any) -> None:
        """Those in `__dict__` and those in `__slots__`."""
        if isinstance(getattr(value, "__dict__", None), dict):
            self.visit(value.__dict__)
        slots = [name for base in type(value).__mro__ for name in slots_of(base)]
        for name in slots:
            if hasattr(value, name):
                held = getattr(value, name)
                self.holders.append((value, {name: held}))
                self.visit(held)

    def restore(self) -> None:
        """Everything as it was when the snapshot was taken; what has come since is gone."""
        for holder, kept in self.holders:
            put_back(holder, kept)
        for array, kept in self.arrays:
            array[...] = kept
        self.restore_generators()

    def restore_generators(self) -> None:
        """The random numbers that come next are those that came after the snapshot."""
        for generator, kept in self.generators:
            generator.state = kept
        for holder, kept in self.holders:
            if isinstance(holder, (np.random.RandomState, random.Random)):
                put_back(holder, kept)
        if self.has_globals:
            np.random.set_state(self.numpy_state)  # noqa: NPY002
            random.setstate(self.python_state)

    def are_globals_untouched(self) -> bool:
        """Whether nobody has drawn from the global generators since."""
        state = np.random.get_state()  # noqa: NPY002
        pairs = zip(state, self.numpy_state, strict=True)
        is_same = all(np.array_equal(a, b) for a, b in pairs)
        return is_same and random.getstate() == self.python_state


def slots_of(base: type) -> tuple[str, ...]:
    slots = base.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


def state_of(generator: Any) -> Any:
    is_numpy = isinstance(generator, np.random.RandomState)
    return generator.get_state() if is_numpy else generator.getstate()


def put_back(holder: Any, kept: Any) -> None:
    """The old contents of one container, object or generator."""
    if isinstance(holder, (dict, set)):
        holder.clear()
        holder.update(kept)
    elif isinstance(holder, list):
        holder[:] = kept
    elif isinstance(holder, deque):
        holder.clear()
        holder.extend(kept)
    elif isinstance(holder, np.random.RandomState):
        holder.set_state(kept)
    elif isinstance(holder, random.Random):
        holder.setstate(kept)
    else:
        for name, value in kept.items():
            setattr(holder, name, value)
