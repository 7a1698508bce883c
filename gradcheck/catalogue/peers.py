"""Other packages' checkers on the same cases, as they come: the real packages, their defaults.

A case that a package has no notion of (a layer object, a network, float32 where its manual
asks for double precision) counts as one that it cannot express, and is listed apart.
"""

import importlib
import importlib.util
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.catalogue.case import Case
from gradcheck.catalogue.functional import Functional, functional
from gradcheck.catalogue.progress import Progress
from gradcheck.catalogue.run import Outcome, Tally, stream
from gradcheck.verdict import PASS

SECONDS = 20
"""For one case; a checker that takes longer has not decided it."""

JACOBIAN = 4_000_000
"""Entries of a Jacobian matrix above which none is formed."""

CALLBACK = 10_000
"""Entries above which jax.pure_callback waits for itself on a single core."""

SCIPY_RELATIVE = 1e-5
"""scipy.optimize.check_grad gives a norm and leaves it to the caller what is small: here, this
share of the gradient's norm. Forward differences of step 1.5e-8 are good to some 1e-7."""

SCALAR_CALLS = 20_000
"""Entries above which so many calls, one for each, are not waited for."""

ACCEPTED, REFUSED, CANNOT = "accepted", "refused", "cannot"


class CannotExpressError(Exception):
    """The package has no notion of such a case."""


@dataclass(frozen=True)
class Peer:
    """A checker: `accepts(case, seed)` is its verdict."""

    name: str
    package: str
    accepts: Callable[[Functional, int], bool]
    needs_double: bool = True

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def load(module: str) -> Any:
    """A peer, imported when it is asked for."""
    return importlib.import_module(module)


# ---------------------------------------------------------------- torch


def torch_slow(case: Functional, seed: int) -> bool:
    if sum(a.size for a in case.arrays) * case.forward(*case.arrays).size > JACOBIAN:
        raise CannotExpressError("the Jacobian is too large")
    return torch_accepts(case, seed, fast_mode=False)


def torch_fast(case: Functional, seed: int) -> bool:
    return torch_accepts(case, seed, fast_mode=True)


def torch_accepts(case: Functional, seed: int, fast_mode: bool) -> bool:
    torch = load("torch")
    base: Any = torch.autograd.Function

    class Wrapped(base):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return torch.from_numpy(case.forward(*(t.detach().numpy() for t in tensors)))

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            arrays = [t.detach().numpy() for t in ctx.saved_tensors]
            dy = cotangents[0].numpy().copy()
            return tuple(torch.from_numpy(g) for g in case.backward(dy, *arrays))

    torch.manual_seed(seed)
    inputs = tuple(torch.from_numpy(a).requires_grad_() for a in case.arrays)
    return bool(torch.autograd.gradcheck(Wrapped.apply, inputs, fast_mode=fast_mode))


# ---------------------------------------------------------------- jax


def jax_accepts(case: Functional, seed: int) -> bool:
    jax, check_grads = load("jax"), load("jax.test_util").check_grads

    # Without this, a callback that reads arrays may wait for itself on a single core.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if sum(a.size for a in case.arrays) > CALLBACK:
        raise CannotExpressError("arrays of this size hang in a callback")
    with jax.enable_x64(True):
        shape = case.forward(*case.arrays)
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in case.arrays]

        def run(function: Any, result: Any, *arguments: Any) -> Any:
            return jax.pure_callback(
                lambda *given: function(*(np.array(a) for a in given)), result, *arguments
            )

        def plain(*arrays: Any) -> Any:
            return run(case.forward, jax.ShapeDtypeStruct(shape.shape, shape.dtype), *arrays)

        wrapped = jax.custom_vjp(plain)

        def forward(*arrays: Any) -> Any:
            return wrapped(*arrays), arrays

        def backward(saved: Any, dy: Any) -> Any:
            return tuple(run(case.backward, shapes, dy, *saved))

        wrapped.defvjp(forward, backward)
        check_grads(wrapped, tuple(case.arrays), order=1, modes=["rev"])
    return True


# ---------------------------------------------------------------- autograd, scipy


def autograd_accepts(case: Functional, seed: int) -> bool:
    extend, check_grads = load("autograd.extend"), load("autograd.test_util").check_grads

    wrapped = extend.primitive(case.forward)

    def rule(i: int) -> Any:
        def gradient(answer: Any, *arrays: Any) -> Any:
            return lambda dy: case.backward(np.array(dy), *arrays)[i]

        return gradient

    extend.defvjp(wrapped, *(rule(i) for i in range(len(case.places))))
    np.random.seed(seed)  # noqa: NPY002, it draws from there
    every = tuple(range(len(case.places)))  # by default the first argument only
    check_grads(wrapped, every, modes=["rev"], order=1)(*case.arrays)
    return True


def scipy_accepts(case: Functional, seed: int) -> bool:
    """With Σ c·y for a random c: it takes scalar functions of one vector."""
    check_grad = load("scipy.optimize").check_grad

    arrays = case.arrays
    if sum(a.size for a in arrays) > SCALAR_CALLS:
        raise CannotExpressError("one call of the function for each entry")
    cotangent = np.random.default_rng(seed).standard_normal(case.forward(*case.arrays).shape)
    ends = np.cumsum([a.size for a in arrays])[:-1]

    def split(v: Any) -> list[Any]:
        parts = np.split(v, ends)
        return [p.reshape(a.shape).copy() for p, a in zip(parts, arrays, strict=True)]

    def value(v: Any) -> float:
        return float((cotangent * case.forward(*split(v))).sum())

    def slope(v: Any) -> Any:
        return np.concatenate([g.ravel() for g in case.backward(cotangent.copy(), *split(v))])

    start = np.concatenate([a.ravel() for a in arrays])
    norm = float(np.linalg.norm(slope(start)))
    return bool(check_grad(value, slope, start) <= SCIPY_RELATIVE * norm)


PEERS = (
    Peer("torch.autograd.gradcheck, slow", "torch", torch_slow),
    Peer("torch.autograd.gradcheck, fast", "torch", torch_fast),
    Peer("jax.test_util.check_grads", "jax", jax_accepts, needs_double=False),
    Peer("autograd.test_util.check_grads", "autograd", autograd_accepts),
    Peer("scipy.optimize.check_grad", "scipy", scipy_accepts),
)


# ---------------------------------------------------------------- running them


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises TimeoutError when the time is over, where the system can."""

    def ring(*_: Any) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except (AttributeError, ValueError):  # no such signal, or not the main thread
        yield
        return
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def ask(peer: Peer, case: Case, seed: int) -> str:
    """Accepted, refused (an exception is a refusal, too) or cannot be expressed."""
    problem = functional(case.make(stream(case, seed)))
    if problem is None or not problem.places:
        return CANNOT
    if peer.needs_double and any(a.dtype != np.float64 for a in problem.arrays):
        return CANNOT
    try:
        with limited(SECONDS), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return ACCEPTED if peer.accepts(problem, seed) else REFUSED
    except (CannotExpressError, TimeoutError):
        return CANNOT
    except Exception:
        return REFUSED


def compare(tally: Tally, seed: int, peers: Sequence[Peer] = PEERS) -> list[dict[str, Any]]:
    """A row for each installed peer, beside ours on the same cases."""
    installed = [peer for peer in peers if peer.is_installed]
    cases = [o.case for o in (*tally.bugs, *tally.rights)]
    rows = []
    with Progress(len(installed) * len(cases)) as progress:
        for j, peer in enumerate(installed):
            began, answers = time.perf_counter(), []
            for k, case in enumerate(cases):
                progress(j * len(cases) + k, f"{peer.package}: {case.name}")
                answers.append(ask(peer, case, seed))
            rows.append(row_of(peer, tally, answers, time.perf_counter() - began))
    return rows


def row_of(peer: Peer, tally: Tally, answers: list[str], seconds: float) -> dict[str, Any]:
    planted, correct = answers[: len(tally.bugs)], answers[len(tally.bugs) :]
    shared = [o for o, a in zip(tally.bugs, planted, strict=True) if a != CANNOT]
    both = [o for o, a in zip(tally.rights, correct, strict=True) if a != CANNOT]
    return {
        "peer": peer.name,
        "bugs": len(planted),
        "expressible": len(shared),
        "caught": planted.count(REFUSED),
        "ours_caught": sum(o.is_caught for o in shared),
        "rights": len(both),
        "false_alarms": correct.count(REFUSED),
        "ours_false_alarms": sum(o.verdict != PASS and o in tally.false_alarms for o in both),
        "ours_named": sum(o.rank == 0 for o in shared),
        "ours_seconds": round(sum(o.seconds for o in (*shared, *both)), 1),
        "seconds": round(seconds, 1),
        "missed": names(tally.bugs, planted, ACCEPTED),
        "alarmed": names(tally.rights, correct, REFUSED),
        "cannot": names((*tally.bugs, *tally.rights), answers, CANNOT),
    }


def names(outcomes: Sequence[Outcome], answers: Sequence[str], which: str) -> list[str]:
    pairs = zip(outcomes, answers, strict=True)
    return [f"{o.case.family}: {o.case.name}" for o, answer in pairs if answer == which]


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table for a README: each peer beside gradcheck on the cases that the peer can run."""
    lines = [
        "| checker | caught, of those it can express | gradcheck on the same | of all bugs | "
        "false alarms | gradcheck's | seconds | gradcheck's | names the cause |",
        "|-|-|-|-|-|-|-|-|-|",
    ]
    for r in rows:
        lines.append(
            f"| `{r['peer']}` | {r['caught']} of {r['expressible']} | {r['ours_caught']} "
            f"| {r['caught']} of {r['bugs']} | {r['false_alarms']} of {r['rights']} "
            f"| {r['ours_false_alarms']} | {r['seconds']} | {r['ours_seconds']} "
            f"| no (gradcheck: {r['ours_named']}) |"
        )
    return "\n".join(lines)
