"""Mend: edits of a network's own methods, one at a time, until its gradients are right.

The network is a function of the batch and all its parameters here, whose backward leads through
the method that is edited: its own, or one of a layer, an activation or the criterion.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.course import parameters
from gradcheck.diagnose.evidence import Evidence
from gradcheck.network.conventions import MEAN, SUM
from gradcheck.network.drive import gradients_of, output_at
from gradcheck.network.listen import layers_of
from gradcheck.network.losses import Loss
from gradcheck.repair import Repair, Suspect, repaired, with_repairs
from gradcheck.repair.search import MOST_ENTRIES, SECONDS
from gradcheck.repair.written import Written, written
from gradcheck.subject import Authored, Subject
from gradcheck.verdict import FAIL, Finding

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray

BACKWARD = ("backward", "derivative")
"""Methods that a gradient goes through."""

FORWARD = ("forward", "__call__", "step", "zero_grads", "train", "eval", "__init__")
"""Methods that it does not, though a backward may call them."""

OWN, ELSEWHERE = 0.4, 0.8
"""How much less likely edits are in the network's own backward than at the first wrong place, and
in other layers."""

CONSEQUENCE = "follows-from"


@dataclass(frozen=True)
class Method:
    """A method that may be edited, and the objects that have it.

    Attributes
    ----------
    name, source : as it is written in its class.
    objects, places : which share it, and where these stand in the network.
    """

    name: str
    source: Written
    objects: tuple[Any, ...]
    places: tuple[str, ...]

    @contextmanager
    def replaced(self, function: Callable[..., Any]) -> Iterator[None]:
        """Within, the objects have another one; their class keeps its own."""
        try:
            for one in self.objects:
                setattr(one, self.name, MethodType(function, one))
            yield
        finally:
            for one in self.objects:
                vars(one).pop(self.name, None)


def mended(
    setting: "Setting", findings: Sequence[Finding], known: dict[str, str], notes: Sequence[str]
) -> list[Finding]:
    """The findings, with the edit that mends each of those that fail."""
    failed = {f.name for f in findings if f.verdict == FAIL and not is_consequence(f)}
    if not failed:
        return list(findings)
    possible = ways(setting, known)
    for way in possible:
        model = Model(setting, way, known)
        repairs = repaired(partial(suspects, model, notes), SECONDS / len(possible))
        if repairs:
            return [with_fix(f, repairs, model) if f.name in failed else f for f in findings]
    return list(findings)


def with_fix(finding: Finding, repairs: list[Repair], model: "Model") -> Finding:
    place = model.names.index(finding.name)
    return replace(finding, causes=with_repairs(finding.causes, repairs, place))


def suspects(model: "Model", notes: Sequence[str]) -> Iterator[Suspect]:
    """The methods that may be wrong; none of a network that is too large for trials."""
    if sum(array.size for array in model.inputs) > MOST_ENTRIES:
        return
    for method in methods_of(model.net):
        yield Suspect(model.evidence(method), method.source, innocence(method, notes))


def is_consequence(finding: Finding) -> bool:
    return bool(finding.causes) and finding.causes[0].slug == CONSEQUENCE


def ways(setting: "Setting", known: dict[str, str]) -> list[str]:
    """The conventions that arrays which fail may follow, the likeliest first."""
    if setting.reduction is not None:
        return [MEAN]
    if not known:
        return [MEAN, SUM]
    return [Counter(known.values()).most_common(1)[0][0]]


def convention(name: str, known: dict[str, str], way: str) -> str:
    """That of the array; else of its layer, of the same parameter elsewhere, or the usual one."""
    if name in known:
        return known[name]
    place, _, letter = name.rpartition(".")
    for alike in (
        [other for other in known if place and other.rpartition(".")[0] == place],
        [other for other in known if other.rpartition(".")[2] == letter],
    ):
        if alike:
            return known[alike[0]]
    return way


def innocence(method: Method, notes: Sequence[str]) -> float:
    """Least for those of the first wrong place."""
    first = next((note for note in notes if note.startswith("first wrong: ")), "")
    place = first.removeprefix("first wrong: ").partition(".")[0].partition(" ")[0]
    if place in method.places:
        return 0.0
    return OWN if method.places == ("",) else ELSEWHERE


def methods_of(net: Any) -> list[Method]:
    """Every method that a gradient goes through, each once."""
    places: dict[FunctionType, list[tuple[str, Any]]] = {}
    names: dict[FunctionType, str] = {}
    for place, one in (*layers_of(net), ("", net)):
        for name in gradient_methods(one):
            function = getattr(type(one), name)
            names[function] = name
            here = places.setdefault(function, [])
            if all(other is not one for _, other in here) and hasattr(one, "__dict__"):
                here.append((place, one))
    found = []
    for function, owners in places.items():
        source = written(function)
        if source is not None and owners and source.function is function:
            told, objects = zip(*owners, strict=True)
            found.append(Method(names[function], source, objects, told))
    return found


def gradient_methods(one: Any) -> list[str]:
    """The names of an object's methods for the gradient, and of those that they call."""
    level = [name for name in BACKWARD if is_method(one, name)]
    found = list(level)
    while level:
        source = written(getattr(type(one), level.pop()))
        for node in ast.walk(source.node) if source is not None else ():
            name = node.attr if isinstance(node, ast.Attribute) else ""
            is_own = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
            if is_own and name not in (*found, *FORWARD) and is_method(one, name):
                found.append(name)
                level.append(name)
    return found


def is_method(one: Any, name: str) -> bool:
    """Whether the object has it from its class, and nothing of its own before it."""
    is_own = name in getattr(one, "__dict__", ())
    return not is_own and isinstance(getattr(type(one), name, None), FunctionType)


class Model:
    """The network as a pair of functions of the batch, the labels and all parameters.

    Attributes
    ----------
    names : of the inputs: "input", "labels", and the parameters'.
    """

    def __init__(self, setting: "Setting", way: str, known: dict[str, str]):
        self.net, trial = setting.measured, setting.trial
        self.layers = [(name, layer, a) for name, layer, a in parameters(self.net)]
        self.names = ["input", "labels", *(name for name, _, _ in self.layers)]
        self.is_sum = setting.reduction == "sum"
        self.sums = {name for name in self.names if convention(name, known, way) == SUM}
        x = trial.x if self.net is setting.net else trial.x.astype(np.float64)
        values = [np.array(getattr(layer, a)) for _, layer, a in self.layers]
        self.inputs = [x, trial.labels, *values]
        self.seed = setting.seed

    def put(self, values: Sequence[Array]) -> None:
        for (_, layer, attribute), value in zip(self.layers, values, strict=True):
            getattr(layer, attribute)[...] = value

    def forward(self, x: Array, labels: Array, *values: Array) -> Array:
        """The loss that the gradients are of."""
        self.put(values)
        losses = Loss(self.net, labels).values(output_at(self.net, x))
        return np.asarray(losses.sum() if self.is_sum or losses.size != len(x) else losses.mean())

    def backward(self, dy: Array, x: Array, labels: Array, *values: Array) -> tuple[Any, ...]:
        """Every gradient as one of that loss, whatever convention it follows."""
        self.put(values)
        found = gradients_of(self.net, x, labels)
        row = [found.get(name) for name in self.names]
        return tuple(
            g if g is None or name not in self.sums else g / len(x)
            for name, g in zip(self.names, row, strict=True)
        )

    def evidence(self, method: Method) -> Evidence:
        """What a search for repairs is given."""

        def adapt(function: Callable[..., Any]) -> Callable[..., Any]:
            def backward(*given: Any) -> Any:
                with method.replaced(function):
                    return self.backward(*given)

            return backward

        has_cotangent = method.name != "derivative"  # of a network, all begins with the labels
        own = [f"self.{name.rpartition('.')[2]}" for name in self.names[2:]]
        authored = Authored(
            method.source.function,
            adapt,
            has_cotangent,
            parameters=tuple(dict.fromkeys(own)),
            forward=getattr(type(method.objects[0]), "forward", None),
        )
        subject = Subject(self.forward, self.backward, self.names, authored)
        dy = np.ones(())
        count = len(self.names)
        return Evidence(
            subject,
            subject.names,
            self.inputs,
            [dy],
            subject.outputs(self.inputs),
            subject.gradients([dy], self.inputs),
            [None] * count,
            [None] * count,
            [False] * count,
            np.random.default_rng(self.seed),
            is_fixed=True,
        )
