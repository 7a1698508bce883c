"""From a walk down the network to findings: the first wrong place, causes, consequences."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.network.local import local_causes
from gradcheck.network.losses import Loss
from gradcheck.network.mistakes import Mistake, Scene
from gradcheck.network.replay import Replay, replay
from gradcheck.network.walk import Belief, Told, Walk, gradient_place
from gradcheck.verdict import FAIL, Cause, Finding

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray

MINOR = 0.5
"""Share of the best score that other accounts of the same mistake get."""

BUFFERS = ("momentum_{}", "v_{}", "velocity_{}", "m_{}")


def explain(
    setting: "Setting",
    findings: list[Finding],
    base: Replay,
    loss: Loss,
    weights: Array,
    right: dict[str, Array],
) -> tuple[list[Finding], list[str]]:
    """Findings with causes, and notes that begin with the first wrong place."""
    if contradicted(findings, right):
        return findings, ["a replay in NumPy has other gradients than differences: no place told"]
    scene = scene_of(setting, base, loss, weights)
    walk = Walk(
        scene,
        loss.derivative(base.output) * weights[0],
        setting.trial.heard,
        scales_of(setting, weights),
        setting.trial.spreads,
        right,
    )
    belief = walk.run()
    return told_findings(findings, belief, scene, setting)


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


def scene_of(setting: "Setting", base: Replay, loss: Loss, weights: Array) -> Scene:
    trial, net = setting.trial, setting.net
    functions = [s.phi for s in base.steps if s.kind == "activation"]
    observed = {n: np.asarray(g) for n, g in trial.gradients.items() if g.dtype.kind in "fiub"}
    return Scene(
        base,
        replay(net, trial.other[0], functions, base.form),
        observed,
        trial.earlier,
        loss.rows(base.output) if loss.kind != "own" else np.zeros(base.output.shape),
        len(trial.x),
        loss.kind,
        float(weights[0]),
        buffers_of(net),
        trial.changed,
        float(getattr(net, "lr", 0.0) or 0.0),
    )


def buffers_of(net: Any) -> dict[str, dict[str, Array]]:
    from gradcheck.course import parameters

    found: dict[str, dict[str, Array]] = {}
    for name, layer, attribute in parameters(net):
        for pattern in BUFFERS:
            value = getattr(layer, pattern.format(attribute), None)
            if isinstance(value, np.ndarray):
                found.setdefault(name, {})[pattern.format(attribute)] = np.array(value, np.float64)
    return found


def told_findings(
    findings: list[Finding], belief: Belief, scene: Scene, setting: "Setting"
) -> tuple[list[Finding], list[str]]:
    """Each finding with what the walk says of its array."""
    by_name = {t.name: t for t in belief.told}
    order = places_in_order(belief)
    first = order[0] if order else ""
    found = []
    for finding in findings:
        if finding.verdict == FAIL:
            told = by_name.get(finding.name)
            found.append(with_causes(finding, told, belief, scene, setting, first))
        else:
            found.append(finding)
    notes = []
    if first:
        notes.append(f"first wrong: {first} (everything above it matches)")
        notes += [f"wrong by itself, too: {place}" for place in order[1:]]
    if belief.told and scene.replay.form.description:
        notes.append(f"forward: {scene.replay.form.description}")
    if scene.changed:
        notes.append(f"backward changes parameters in place: {', '.join(scene.changed)}")
    return found, notes


def places_in_order(belief: Belief) -> list[str]:
    """Where mistakes are made, in backward order, each once."""
    found: list[str] = []
    for told in belief.told:
        places = [m.place for m in told.mistakes]
        if not told.mistakes and not told.is_explained:
            places = [gradient_place(told.name)]
        found += [p for p in places if p not in found]
    return found


def with_causes(
    finding: Finding,
    told: Told | None,
    belief: Belief,
    scene: Scene,
    setting: "Setting",
    first: str,
) -> Finding:
    if told is None:
        return consequence(finding, first)
    if told.mistakes:
        causes = [m.cause() for m in told.mistakes]
        note = "; ".join(f"{m.place}: {m.slug}" for m in told.mistakes)
        return replace(finding, note=finding.note or note, causes=tuple(causes))
    if not told.is_explained:
        local = local_causes(finding.name, told, scene, setting)
        return replace(finding, causes=local or (cause("unrelated"),))
    return consequence(finding, before(finding.name, belief) or first)


def before(name: str, belief: Belief) -> str:
    """The last mistake on the path above an array."""
    place = ""
    for told in belief.told:
        if told.name == name:
            break
        on_path = [m for m in told.mistakes if m in belief.mistakes]
        if on_path:
            place = on_path[-1].place
        elif not told.is_explained:
            place = gradient_place(told.name)
    return place


def consequence(finding: Finding, place: str) -> Finding:
    if not place:
        return replace(finding, causes=finding.causes or (cause("unrelated"),))
    note = f"follows from {place}"
    return replace(finding, note=note, causes=(cause("follows-from", where=place),))


__all__ = ["Cause", "Mistake", "explain"]
