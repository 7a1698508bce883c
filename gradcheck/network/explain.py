"""From a walk down the network to findings: the first wrong place, causes, consequences."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnose.causes import cause, widened
from gradcheck.network.belief import Belief, Event
from gradcheck.network.local import local_causes
from gradcheck.network.losses import Loss
from gradcheck.network.mistakes import Mistake, Scene
from gradcheck.network.order import misordered
from gradcheck.network.replay import Replay, replay
from gradcheck.network.walk import Walk
from gradcheck.verdict import FAIL, Cause, Finding

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray


def explain(
    setting: "Setting",
    findings: list[Finding],
    base: Replay,
    loss: Loss,
    weights: Array,
    right: dict[str, Array],
    earlier: tuple[Replay, ...] = (),
) -> tuple[list[Finding], list[str]]:
    """Findings with causes, and notes that begin with the first wrong place."""
    if contradicted(findings, right):
        return findings, ["a replay in NumPy has other gradients than differences: no place told"]
    scene = scene_of(setting, base, loss, weights, earlier)
    delta, scales = loss.derivative(base.output) * weights[0], scales_of(setting, weights)
    one = misordered(scene, delta, scales)
    if one is not None:
        return of_one_mistake(findings, one)
    belief = Walk(scene, delta, setting.trial.heard, scales, right).run()
    return told_findings(findings, belief, scene, setting)


def of_one_mistake(findings: list[Finding], one: Mistake) -> tuple[list[Finding], list[str]]:
    """A mistake that all wrong arrays come from."""
    note = f"wrong at {one.place}"
    found = [
        replace(f, note=f.note or note, causes=widened((one.cause(),))) if f.verdict == FAIL else f
        for f in findings
    ]
    return found, [f"first wrong: {one.place} (everything above it matches)"]


def scales_of(setting: "Setting", weights: Array) -> tuple[float, ...]:
    count = len(setting.trial.x)
    if setting.reduction is not None or count < 2:
        return (1.0,)
    return (1.0, float(count)) if weights.size > 1 else (1.0, float(count), 1.0 / count)


def contradicted(findings: list[Finding], right: dict[str, Array]) -> bool:
    """Whether differences at single entries are not those of the replay."""
    for finding in findings:
        detail, value = finding.detail, right.get(finding.name)
        if detail is None or value is None:
            continue
        known = np.isfinite(detail.numeric)
        off = abs(detail.numeric - value)[known]
        slack = 10 * detail.error_bar[known] + 1e-5 * abs(value).max(initial=0)
        if (off > slack).any():
            return True
    return False


def scene_of(
    setting: "Setting", base: Replay, loss: Loss, weights: Array, earlier: tuple[Replay, ...]
) -> Scene:
    trial, net = setting.trial, setting.net
    functions = base.functions
    kind = loss.kind_at(base.output)
    observed = {n: np.asarray(g) for n, g in trial.gradients.items() if g.dtype.kind in "fiub"}
    return Scene(
        base,
        (replay(net, trial.other[0], functions, base.form), *earlier),
        observed,
        trial.earlier,
        loss.rows(base.output) if kind != "own" else np.zeros(base.output.shape),
        len(trial.x),
        kind,
        float(weights[0]),
        trial.buffers,
        trial.changed,
        float(getattr(net, "lr", 0.0) or 0.0),
    )


def told_findings(
    findings: list[Finding], belief: Belief, scene: Scene, setting: "Setting"
) -> tuple[list[Finding], list[str]]:
    """Each finding with what the walk says of its array."""
    failed = {f.name for f in findings if f.verdict == FAIL}
    causes = causes_of(belief, failed, scene, setting)
    order = list(dict.fromkeys(event.place for event in belief.wrong))
    found = [with_causes(f, causes.get(f.name), order) if f.name in failed else f
             for f in findings]  # fmt: skip
    notes = []
    if order:
        notes.append(f"first wrong: {order[0]} (everything above it matches)")
        notes += [f"wrong by itself, too: {place}" for place in order[1:]]
    if scene.replay.form.description:
        notes.append(f"forward: {scene.replay.form.description}")
    if scene.changed:
        notes.append(f"backward changes parameters in place: {', '.join(scene.changed)}")
    return found, notes


@dataclass
class Account:
    """What is said of one wrong array: causes of its own, or the place that it follows from."""

    causes: list[Cause] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    above: str = ""


def causes_of(
    belief: Belief, failed: set[str], scene: Scene, setting: "Setting"
) -> dict[str, Account]:
    """For each array that failed. A mistake on the path is told of the first that shows it."""
    found: dict[str, Account] = {}
    pending: list[Event] = []
    above = ""
    for event in belief.events:
        on_path = not event.name or event.name.endswith(("receives", "returns"))
        if on_path:
            if event.is_wrong:
                pending.append(event)
                above = event.place
            continue
        account = Account(above=above)
        if event.name in failed:
            found[event.name] = account
            told = [*pending, event] if event.is_wrong else pending
            for one in told:
                account.causes += causes_at(one, scene, setting)
                account.places.append(one.place)
            pending = []
    return found


def causes_at(event: Event, scene: Scene, setting: "Setting") -> list[Cause]:
    if event.mistake is not None:
        own = [event.mistake.cause()]
        is_pattern = event.mistake.slug == "entries-wrong"
        return own + list(local_causes(event, scene, setting) if is_pattern else ())
    local = local_causes(event, scene, setting)
    return list(local) or [cause("unrelated")]


def with_causes(finding: Finding, account: Account | None, order: list[str]) -> Finding:
    if account is not None and account.causes:
        unique = {c.slug: c for c in reversed(account.causes)}
        places = ", ".join(dict.fromkeys(account.places))
        note = finding.note or f"wrong at {places}"
        ranked = sorted(widened(tuple(reversed(list(unique.values())))), key=lambda c: -c.score)
        return replace(finding, note=note, causes=tuple(ranked))
    place = account.above if account is not None and account.above else "".join(order[:1])
    if not place:
        return replace(finding, causes=finding.causes or (cause("unrelated"),))
    note = f"follows from {place}"
    return replace(finding, note=note, causes=(cause("follows-from", where=place),))
