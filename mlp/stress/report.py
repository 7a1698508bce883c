"""What a study says, in words."""

import math

import numpy as np

from mlp.stress.growth import DepthStudy
from mlp.stress.remedies import untried
from mlp.stress.series import NonFinite, Study

COLUMN = 14
"""Least width of a column of a table."""


def passes_report(study: Study, other: Study) -> str:
    """A run's text; `other` is the same run in the other dtype."""
    lines = [title(study), ""]
    lines += table(study)
    lines += ["", verdict(study, other)]
    if study.first_nonfinite is not None:
        lines.append(flight(study.first_nonfinite))
    if study.remedies:
        lines += ["", "What would have prevented it (each tried on the same run):"]
        lines += [f"  {line}" for line in remedies(study)]
    return "\n".join(lines)


def title(study: Study) -> str:
    s = study.settings
    norm = " with batchnorm" if s["batchnorm"] else ""
    widths = "-".join(map(str, s["widths"]))
    return (
        f"{widths}, {s['activation']}{norm}, {s['input']} input, {s['dtype']}, lr {s['lr']:g}, "
        f"{s['passes']} passes"
    )


def table(study: Study) -> list[str]:
    """Each pass: largest output, and the norm of each layer's gradient."""
    layers = study.of("dW").shape[1]
    rows = [["max|output|", *(f"|dW{i + 1}|" for i in range(layers))]]
    for i in range(study.passes):
        sizes = [study.of("output", "log2_max")[i, -1], *study.of("dW")[i]]
        rows.append([power(size) for size in sizes])
    width = max(COLUMN, 2 + max(len(text) for row in rows for text in row))
    counts = ["pass", *(f"{i + 1:4}" for i in range(study.passes))]
    return [
        count + "".join(f"{text:>{width}}" for text in row)
        for count, row in zip(counts, rows, strict=True)
    ]


def power(log2_size: float) -> str:
    """2^log2_size in decimal digits, whatever its exponent."""
    if not np.isfinite(log2_size):
        return "0" if log2_size < 0 else str(log2_size)
    tens = log2_size * np.log10(2)
    whole = int(np.floor(tens))
    digits = f"{10 ** (tens - whole):.1f}"
    return f"{digits}e{whole:+03d}" if digits != "10.0" else f"1.0e{whole + 1:+03d}"


def verdict(study: Study, other: Study) -> str:
    """One sentence: how it grows, where each dtype ends, what was foreseen."""
    by_dtype = sorted((s.settings["dtype"], s) for s in (study, other))
    ends = [
        f"{name} overflows at pass {s.overflow_pass}" if s.overflow_pass else f"{name} stays finite"
        for name, s in by_dtype
    ]
    parts = [f"{growth(study)}{', '.join(ends)}"]
    if study.first_nonfinite is not None:
        parts[0] += f", first in {where(study.first_nonfinite)}"
    if study.forecast_pass is not None:
        parts.append(
            f"for {study.settings['dtype']} pass {study.forecast_pass} was predicted at pass "
            f"{study.forecast_made_at}"
        )
    elif study.overflow_pass is not None:
        parts.append("not predicted")
    return "; ".join(parts) + "."


def growth(study: Study) -> str:
    """How the exponent of the largest value goes on from pass to pass."""
    sizes = study.series["log2_largest"]
    sizes = sizes[np.isfinite(sizes)]
    if study.overflow_pass is None or len(sizes) < 3:
        return ""
    steps = np.diff(sizes)
    ratio = steps[-1] / steps[-2]
    if abs(ratio - 2) < 0.1:
        return "The exponent doubles every pass: "
    if abs(ratio - 1) < 0.1:
        return f"The exponent grows by {steps[-1]:.1f} bits every pass: "
    return f"The exponent is multiplied by {ratio:.1f} every pass: "


def where(found: NonFinite) -> str:
    return f"layer {found.layer}'s {found.tensor}" if found.layer else f"the {found.tensor}"


def flight(found: NonFinite) -> str:
    ranges = ", ".join(
        f"{n} in [{low:.3g}, {high:.3g}]" for n, (low, high) in found.operands.items()
    )
    return (
        f"First non-finite value: {found.value} in {where(found)} at pass {found.pass_number}, "
        f"of {ranges}: {found.cause}."
    )


def remedies(study: Study) -> list[str]:
    lines = [
        f"{r.name}: {r.change}: "
        + (
            f"all passes finite, largest value {power(r.log2_largest)}"
            if r.helps
            else f"overflows at pass {r.overflow_pass}"
        )
        for r in study.remedies
    ]
    reason = untried(study)
    return [*lines, f"batchnorm: {reason}"] if reason else lines


WIDTH_LIMIT = """\
The theory, the last number, is that of infinite width. At a finite one the mean of a logarithm lies
below the logarithm of the mean: at the critical initialisation of ReLU by 5/(2n) nats, here
{bits:.3f} bits, for each layer passed (Hanin & Nica 2018, arXiv:1812.05994)."""


def depth_report(study: DepthStudy, rows: int = 20) -> str:
    """Some of the layers: mean and interval of the logarithms, beside the theory."""
    s = study.settings
    norm = " with batchnorm" if s["batchnorm"] else ""
    lines = [
        f"{s['depth']} layers of {s['width']}, {s['activation']}{norm}, init {s['init']}, "
        f"{s['seeds']} seeds",
        "log2 of the mean square: mean over seeds [95 % t-interval of that mean] theory",
        "",
        f"{'layer':>5}  {'activations':^40}  {'gradients':^40}",
    ]
    count = study.forward.shape[1]
    for i in np.unique(np.linspace(0, count - 1, min(rows, count)).astype(int)):
        cells = [cell(study, which, int(i)) for which in ("forward", "backward")]
        lines.append(f"{i + 1:5}  {cells[0]:<40}  {cells[1]:<40}".rstrip())
    for which, name in (("forward", "activations"), ("backward", "gradients")):
        mean, low, high = study.growth(which)
        lines.append(f"{name}: {mean:+.4f} bits a layer [{low:+.4f}, {high:+.4f}]")
    if study.forward_theory is not None:
        lines += ["", WIDTH_LIMIT.format(bits=5 / (2 * math.log(2) * s["width"]))]
    return "\n".join(lines)


def cell(study: DepthStudy, which: str, i: int) -> str:
    mean, low, high = (part[i] for part in study.interval(which))
    predicted = getattr(study, f"{which}_theory")
    text = f"{mean:9.2f} [{low:.2f}, {high:.2f}]"
    return text if predicted is None else f"{text} {predicted[i]:.2f}"
