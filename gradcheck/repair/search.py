"""repair: edits are tried until some make the gradients right."""

import ast
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.budget import LIMIT, BudgetSpent, check_time, is_library, limited, may_use_timer
from gradcheck.diagnose.evidence import Evidence
from gradcheck.guard import is_strict
from gradcheck.repair.edits import Edit
from gradcheck.repair.helpers import Helper, helpers
from gradcheck.repair.influence import influence_of
from gradcheck.repair.pairs import in_pairs
from gradcheck.repair.propose import Doubt, arguments_of, proposed
from gradcheck.repair.reach import doubt, reach_of
from gradcheck.repair.scope import observed
from gradcheck.repair.trial import Trial, unheard
from gradcheck.repair.written import Written, written
from gradcheck.verdict import Fix

SECONDS = 1.0
"""Of the processor's time: longer than this no repair takes."""

LONGEST = 3.0
"""Seconds by the clock, for calls that wait or never return."""

SHARE = 0.25
"""Of what is left of the caller's budget."""

SLOWEST = 0.02
"""Seconds for one call of forward and backward; of slower ones too few can be made."""

MOST_ENTRIES = 20_000
"""Of all arrays together: an edit that broadcasts wrongly squares the size of one."""

PATIENCE = 0.3
"""How much less likely edits may be than one that works, to be tried after it."""

BESIDE = 0.5
"""The cost of a second name of one edit."""

HELPER_COST = 0.7
"""Mistakes in functions that backward calls are rather less likely than those in itself."""


@dataclass(frozen=True)
class Repair:
    """An edit that makes gradients right.

    Attributes
    ----------
    slug : the mistake that it mends.
    fix : where it is, and what stands there before and after.
    inputs : whose gradients it makes right.
    """

    slug: str
    fix: Fix
    inputs: frozenset[int]
    cost: float


@dataclass(frozen=True)
class Suspect:
    """A function that may be edited.

    Attributes
    ----------
    evidence : of the pair whose backward leads through it.
    source : as its author wrote it.
    innocence : added to the cost of its edits.
    """

    evidence: Evidence
    source: Written
    innocence: float = 0.0


def repair(evidence: Evidence) -> list[Repair]:
    """Edits of the pair's backward that make gradients right, the likeliest first."""
    authored = evidence.subject.authored
    if authored is None or not is_small(evidence):
        return []

    def suspects() -> Iterator[Suspect]:
        source = written(authored.function)
        if source is not None:
            yield Suspect(evidence, source)

    return repaired(suspects)


def repaired(suspects: Callable[[], Iterator[Suspect]], seconds: float = SECONDS) -> list[Repair]:
    """Edits of any of the suspects, the likeliest first: within the time, and without a trace."""
    found: list[Repair] = []
    random_state = np.random.get_state()  # noqa: NPY002, an edited backward may draw from it
    try:
        with limited(allowed()), unheard():
            search([one for one in suspects() if not may_hang(one.source)], found, seconds)
    except BudgetSpent:
        pass  # what was found is told
    except Exception:
        # The verdict stands: what no edit foresaw must not cost the user the report.
        if is_strict():
            raise
    finally:
        np.random.set_state(random_state)  # noqa: NPY002
    return best(found)


def allowed() -> float:
    """Seconds by the clock that may be spent here."""
    limit = LIMIT.get()
    left = np.inf if limit is None else limit.deadline - time.monotonic()
    return float(min(LONGEST, SHARE * max(left, 0.0)))


def is_small(evidence: Evidence) -> bool:
    arrays = [a for a in (*evidence.inputs, *evidence.outputs) if isinstance(a, np.ndarray)]
    return sum(a.size for a in arrays) <= MOST_ENTRIES


def may_hang(source: Written) -> bool:
    """A loop that an edit makes endless can only be stopped by a timer."""
    return not may_use_timer() and any(isinstance(n, ast.While) for n in ast.walk(source.node))


def search(suspects: Sequence[Suspect], found: list[Repair], seconds: float) -> None:
    """Fills `found` on the way: the time may be over at any moment."""
    ends = time.thread_time() + seconds
    trial = Trial(suspects[0].evidence) if suspects else None
    if trial is None or not trial.places or not trial.wrong or trial.seconds > SLOWEST:
        return
    try:
        pool = pooled(suspects, trial)
        try_all(pool, trial, ends, found)
        if not found:
            try_all(twice(pool), trial, ends, found)
    finally:
        trial.state.restore()


def twice(pool: Sequence["Candidate"]) -> list["Candidate"]:
    """The same edit at two places."""
    owners = {id(make): (make, file) for _, _, make, file in pool}
    pairs = in_pairs((make, edit) for edit, _, make, _ in pool)
    return [(edit, edit.cost, *owners[id(make)]) for make, edit in pairs]


def try_all(pool: Sequence["Candidate"], trial: Trial, ends: float, found: list[Repair]) -> None:
    """One edit after the other, as long as the next may be as likely as one that works."""
    least = np.inf
    for edit, cost, make, file in pool:
        if cost > least + PATIENCE or time.thread_time() > ends:
            break
        check_time()
        backward = make(edit)
        inputs = trial.repaired(backward) if backward is not None else frozenset()
        if inputs:
            fix = Fix(file, edit.line, *edit.shown())
            for rank, slug in enumerate((edit.slug, *edit.also)):
                found.append(Repair(slug, fix, inputs, cost + rank * BESIDE))
            if inputs == trial.wrong:
                least = min(least, cost)


def pooled(suspects: Sequence[Suspect], trial: Trial) -> list["Candidate"]:
    """The edits of all functions, the likeliest first."""
    pool: list[Candidate] = []
    for one in suspects:
        made = adapted(one.evidence, one.source, one.source.made())
        if trial.is_same(made):  # else the file is another one by now, or a decorator does more
            for edit, cost, make, file in candidates(one.evidence, one.source, trial):
                pool.append((edit, cost + one.innocence, make, file))
    return sorted(pool, key=lambda candidate: candidate[1])


def adapted(evidence: Evidence, source: Written, made: Any) -> Callable[..., Any]:
    """The backward of the check that calls this function."""
    authored = evidence.subject.authored
    assert authored is not None
    return authored.adapt(source.around(made))


def forward_of(evidence: Evidence) -> Any:
    """Forward as its author wrote it."""
    authored = evidence.subject.authored
    return evidence.subject.forward if authored is None else authored.forward or (
        evidence.subject.forward
    )  # fmt: skip


Candidate = tuple[Edit, float, Callable[[Edit], Callable[..., Any] | None], str]


def candidates(evidence: Evidence, source: Written, trial: Trial) -> list[Candidate]:
    """Edits of backward and of the functions that it calls, with their costs."""
    subject, place = evidence.subject, trial.places[0]

    def call(made: Any) -> None:
        trial.gradients(adapted(evidence, source, made), place)

    def make(edit: Edit) -> Callable[..., Any] | None:
        made = made_with(source, edit)
        return None if made is None else adapted(evidence, source, made)

    authored = subject.authored
    assert authored is not None
    cotangents = tuple(arguments_of(source)[:1]) if authored.has_cotangent else ()
    parameters = authored.parameters
    doubt_of = doubts(evidence, source, trial)
    scope = observed(source, call)
    pool: list[Candidate] = [
        (edit, edit.cost, make, source.file)
        for edit in proposed(source, scope, cotangents, parameters, forward_of(evidence), doubt_of)
    ]
    for helper in helpers(source, cotangents):
        least = min((doubt_of(chain) for chain in helper.chains), default=0.0)
        if least < np.inf:
            pool.extend(of_helper(evidence, source, trial, helper, least))
    return pool


def doubts(evidence: Evidence, source: Written, trial: Trial) -> Doubt:
    """How innocent an expression of the backward is."""
    floating = [i for i, a in enumerate(evidence.inputs) if is_floating(a)]
    authored = evidence.subject.authored
    kept = {} if authored is None else authored.kept
    reach = reach_of(source.node, range(len(evidence.inputs)), floating, kept)
    right = trial.telling - trial.wrong
    if reach.is_known:
        return lambda chain: doubt(reach.of(chain), trial.wrong, right)

    def gradients(made: Any) -> list[Any] | None:
        return trial.gradients(adapted(evidence, source, made), trial.places[0])

    influence = influence_of(source, gradients, list(trial.places[0].slopes))

    def of_moved(chain: Sequence[ast.AST]) -> float:
        moved = next((influence[id(node)] for node in chain if id(node) in influence), None)
        return 0.0 if moved is None else doubt(moved, trial.wrong, right)

    return of_moved


def of_helper(
    evidence: Evidence, source: Written, trial: Trial, helper: Helper, doubt: float
) -> Iterator[Candidate]:
    """Edits of one function that backward calls."""
    name, inner, forward = helper.name, helper.source, forward_of(evidence)
    names = arguments_of(inner)
    cotangents = tuple(names[k] for k in helper.gradients if k < len(names))
    code = getattr(forward, "__code__", None)
    is_shared = not cotangents and code is not None and name in code.co_names
    if is_library(inner.file) or is_shared:
        return  # what forward calls, too, is right by definition

    def with_helper(made: Any) -> Callable[..., Any]:
        return adapted(evidence, source, source.made({name: inner.around(made)}))

    def make(edit: Edit) -> Callable[..., Any] | None:
        made = made_with(inner, edit)
        return None if made is None else with_helper(made)

    scope = observed(inner, lambda made: trial.gradients(with_helper(made), trial.places[0]))
    for edit in proposed(inner, scope, cotangents, (), forward, lambda chain: doubt, False):
        yield edit, edit.cost + HELPER_COST, make, inner.file


def made_with(source: Written, edit: Edit) -> Any:
    """The function of the edited tree; None where that is none."""
    with edit.made():
        try:
            return source.made()
        except (SyntaxError, ValueError, TypeError, LookupError):
            return None


def best(found: list[Repair]) -> list[Repair]:
    """Those that repair most, and of these the likeliest; each name once."""
    ranked = sorted(found, key=lambda one: (-len(one.inputs), one.cost))
    by_slug: dict[str, Repair] = {}
    for one in ranked:
        by_slug.setdefault(one.slug, one)
    return list(by_slug.values())
