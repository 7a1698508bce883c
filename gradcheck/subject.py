"""Subject: the pair under test, forward and backward, called with care.

Every call gets fresh copies, so that nothing of the caller's can be spoilt; what a call does
to them is noted. An exception inside becomes `Raised`, which names the call.
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.beginning import Beginning, beginning_of
from gradcheck.budget import check_time

Array = np.ndarray
Copy = Callable[[Any], Any]

HERE = Path(__file__).parent

FAULTS = (Exception, SystemExit)
"""What code under test may raise that is its own fault, and part of the report."""


def lookup_fault(thing: Any) -> BaseException | None:
    """What an object raises for a name that it does not have, where that is no AttributeError.

    Nobody can ask such an object what it has.
    """
    try:
        hasattr(thing, "no_such_attribute")
    except FAULTS as error:
        return error
    return None


def real_output(k: int, value: Any) -> Array:
    """An output as an array of real numbers; a TypeError that names it for anything else."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array.astype(np.float64)
    if array.dtype.kind not in "fiu":
        given = f"of dtype {array.dtype}" if isinstance(value, np.ndarray) else repr(value)[:60]
        raise TypeError(f"output {k} is {given}, expected an array of real numbers")
    return array


def as_argument(value: Any) -> Any:
    """Arrays as they are; a scalar as NumPy's scalar."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def copy_of(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def copies(values: Sequence[Any]) -> list[Any]:
    return [copy_of(value) for value in values]


def is_real(value: Any) -> bool:
    """An array of real numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


class Raised(Exception):  # noqa: N818, a report, not an error of ours
    """What the function under test raised, and in which call."""

    def __init__(self, call: str, error: BaseException):
        self.call, self.error = call, error
        super().__init__(
            f"{call} raised {type(error).__name__}: {message_of(error)}{place_of(error)}"
        )


def message_of(error: BaseException) -> str:
    """What an exception says; nothing where it cannot even say that."""
    try:
        return str(error)
    except FAULTS:
        return ""


@dataclass(frozen=True)
class Authored:
    """The backward as its author wrote it, and how the subject's is made of it.

    Attributes
    ----------
    function : whose source may be read.
    adapt : makes of such a function the backward of the subject.
    has_cotangent : its first argument is the cotangent.
    kept : names such as "self.dw" in which gradients are left, and of which input.
    parameters : names such as "self.w" of the inputs that are no arguments.
    is_restored : forward begins from the same state each time.
    forward : as its author wrote it, where the subject's only calls it.
    """

    function: Callable[..., Any]
    adapt: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    has_cotangent: bool = True
    kept: dict[str, int] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    is_restored: bool = False
    forward: Callable[..., Any] | None = None


class Subject:
    """forward and backward between lists of arrays.

    Parameters
    ----------
    forward : forward(*inputs) gives an array, a scalar, or a tuple of them.
    backward : backward(dy, *inputs) gives the gradient for each input, or None for it.
    names : of the inputs.
    authored : where backward can be repaired.

    Attributes
    ----------
    forward_calls, backward_calls : how often each was called.
    spoilt : (call, what) for each argument that a call changed, such as ("backward", "x").
    is_watched : whether that is looked for; it costs as much as a copy.
    beginning : the state before the first call, where there is one.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        names: Sequence[str],
        authored: Authored | None = None,
    ):
        self.authored = authored
        self.forward, self.backward, self.names = forward, backward, tuple(names)
        self.gives_tuple = False
        self.output_count: int | None = None
        self.forward_calls = self.backward_calls = 0
        self.spoilt: set[tuple[str, str]] = set()
        self.is_watched = True
        self.beginning: Beginning | None = None

    def outputs(self, arrays: Sequence[Any], copy: Copy = copy_of) -> list[Array]:
        """What forward gives for copies of the arrays."""
        return copies(self._forward([copy(a) for a in arrays], arrays))

    def gradients(
        self, cotangents: Sequence[Array], arrays: Sequence[Any], copy: Copy = copy_of
    ) -> list[Any]:
        """What backward gives after a forward at the same arrays: one for each, or None.

        Forward comes first because the pair may be stateful: a layer that keeps its input.
        """
        given = [copy(a) for a in arrays]
        self._forward(given, arrays)
        return copies(self._backward([copy(c) for c in cotangents], given, cotangents, arrays))

    def gradients_alone(self, cotangents: Sequence[Array], arrays: Sequence[Any]) -> list[Any]:
        """What backward gives without a forward before it."""
        given, dy = copies(arrays), copies(cotangents)
        return copies(self._backward(dy, given, cotangents, arrays))

    def gradients_at_first(
        self, cotangents: Sequence[Array], arrays: Sequence[Any]
    ) -> list[Any] | None:
        """What backward would give if nothing had been called before; None if that is unknown."""
        if self.beginning is None:
            return None
        now = beginning_of(*self.beginning.functions)
        if now is None:
            return None
        try:
            self.beginning.restore()
            return self.gradients(cotangents, arrays)
        except FAULTS:  # a state that cannot be put back, or that they cannot begin from again
            return None
        finally:
            now.restore()

    def raw_outputs(self, arrays: Sequence[Any]) -> tuple[list[Array], list[Array]]:
        """The very arrays that forward returned, and copies of them."""
        found = self._forward(copies(arrays), arrays)
        return found, copies(found)

    def raw_gradients(
        self, cotangents: Sequence[Array], arrays: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """The very arrays that backward returned, and copies of them."""
        given = copies(arrays)
        self._forward(given, arrays)
        found = self._backward(copies(cotangents), given, cotangents, arrays)
        return found, copies(found)

    def _forward(self, given: list[Any], originals: Sequence[Any]) -> list[Array]:
        check_time()
        self.forward_calls += 1
        try:
            value = self.forward(*(as_argument(a) for a in given))
            outputs = self._outputs(as_tuple(value))
        except FAULTS as error:
            raise Raised("forward", error) from error
        self._note_spoilt("forward", self.names, given, originals)
        self.gives_tuple = isinstance(value, (tuple, list))
        return outputs

    def _outputs(self, values: tuple[Any, ...]) -> list[Array]:
        """As many arrays of real numbers as there were at first."""
        if not values:
            raise TypeError("it gives no output, expected an array or a tuple of arrays")
        if self.output_count not in (None, len(values)):
            raise TypeError(f"it gives {len(values)} outputs, before it gave {self.output_count}")
        self.output_count = len(values)
        return [real_output(k, y) for k, y in enumerate(values)]

    def _backward(
        self,
        dy: list[Array],
        given: list[Any],
        cotangents: Sequence[Array],
        originals: Sequence[Any],
    ) -> list[Any]:
        check_time()
        self.backward_calls += 1
        weights = [as_argument(c) for c in dy]
        try:
            value = self.backward(
                tuple(weights) if self.gives_tuple else weights[0],
                *(as_argument(a) for a in given),
            )
            value = gradients_in(value, originals)
        except FAULTS as error:
            raise Raised("backward", error) from error
        self._note_spoilt("backward", self.names, given, originals)
        self._note_spoilt("backward", ["dy"] * len(dy), dy, cotangents)
        return self._one_for_each(value, originals)

    def _one_for_each(self, found: tuple[Any, ...], inputs: Sequence[Any]) -> list[Any]:
        """A gradient or None for each input; those of floating inputs may come alone."""
        floating = [is_real(a) and a.dtype.kind == "f" for a in inputs]
        if len(found) == sum(floating) != len(inputs):
            given = iter(found)
            found = tuple(next(given) if is_floating else None for is_floating in floating)
        if len(found) != len(inputs):
            message = (
                f"it gives {len(found)} gradients, expected {len(inputs)}, one for each input "
                "(None where there is none)"
            )
            raise Raised("backward", ValueError(message))
        return [None if g is None else np.asarray(g) for g in found]

    def _note_spoilt(
        self, call: str, names: Sequence[str], given: Sequence[Array], originals: Sequence[Array]
    ) -> None:
        if not self.is_watched:
            return
        for name, now, before in zip(names, given, originals, strict=True):
            if isinstance(before, np.ndarray) and not same(now, before):
                self.spoilt.add((call, name))


def same(a: Any, b: Any) -> bool:
    """Whether both hold the same numbers in the same shape, NaN included."""
    if a.shape != b.shape:
        return False
    equal = a == b
    return bool(np.all(equal) or np.all(equal | ((a != a) & (b != b))))


def as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def gradients_in(value: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """What backward returned as arrays, or None; a TypeError for what no array is made of.

    A list of numbers in the shape of the only input is its gradient.
    """
    is_alone = len(inputs) == 1 and isinstance(value, list) and not holds_arrays(value)
    values = (np.asarray(value),) if is_alone and value else as_tuple(value)
    found = tuple(None if g is None else np.asarray(g) for g in values)
    for given, array in zip(values, found, strict=True):
        if array is not None and array.dtype.kind == "O" and array.ndim == 0:
            raise TypeError(f"it gives {repr(given)[:60]}, expected an array of real numbers")
    return found


def holds_arrays(values: list[Any]) -> bool:
    """Whether a list is one of gradients, and not the rows of one."""
    return any(value is None or isinstance(value, np.ndarray) for value in values)


def require_callable(where: str, name: str, function: Any, arguments: int) -> None:
    """A clear TypeError for what is no function, or does not take that many arguments."""
    if not callable(function):
        raise TypeError(f"{where}: {name} is {function!r}, expected a function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built-in: nothing is known
        return
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        raise TypeError(
            f"{where}: {name}{signature} cannot be called with {arguments} arguments: {error}"
        ) from None


def place_of(error: BaseException) -> str:
    """(file:line) of the innermost frame that is not ours."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        if HERE not in path.parents and "importlib" not in frame.filename:
            return f" ({frame.filename}:{frame.lineno})"
    return ""
