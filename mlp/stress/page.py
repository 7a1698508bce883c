"""Pages that a teacher can project: of a run, of a figure. Nothing of them is elsewhere."""

import html
import os
from pathlib import Path

import numpy as np

from mlp.stress.curves import largest_output, what
from mlp.stress.remedies import untried
from mlp.stress.report import growth, power, where
from mlp.stress.series import NonFinite, Study
from mlp.stress.svg import chart, heat

STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1c1f24; --soft: #656d78;
  --line: #d9dce1; --blue: #0b62a8; --orange: #c65200; --red: #b00020; --good: #0b7a4b;
  --card: #f2f4f6; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e9ecef;
  --soft: #a0a8b3; --line: #343a42; --blue: #62b4f5; --orange: #ff9c57; --red: #ff6b7d;
  --good: #52d69a; --card: #1d2227; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 62rem; background: var(--paper);
  color: var(--ink); font: 1.2rem/1.5 system-ui, sans-serif; }
h1 { font-size: 2.6rem; line-height: 1.15; margin: 0 0 .4rem; text-wrap: balance; }
h2 { font-size: 1.6rem; margin: 3rem 0 .6rem; }
p { margin: .5rem 0; } .soft { color: var(--soft); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 17px; font-family: inherit; }
.grid { stroke: var(--line); } .limit { stroke: var(--red); stroke-dasharray: 3 5; }
polyline { fill: none; stroke-width: 3; stroke-linejoin: round; }
.output { stroke: var(--blue); } .gradient { stroke: var(--orange); stroke-width: 2; }
.law { stroke: var(--soft); stroke-width: 2; stroke-dasharray: 7 6; }
.dot { fill: var(--blue); } .heat { fill: var(--orange); stroke: var(--line); }
.overflow { stroke: var(--red); stroke-width: 5; fill: none; }
.bad { fill: var(--red); } .none { fill: none; stroke: var(--line); }
.cross { stroke: var(--paper); stroke-width: 2; }
.key span { display: inline-block; margin-right: 1.4rem; white-space: nowrap; }
.key i { display: inline-block; width: 1.6rem; height: .22rem; margin-right: .5rem;
  vertical-align: middle; background: currentColor; }
.key .o { color: var(--blue); } .key .g { color: var(--orange); } .key .l { color: var(--soft); }
.key .x { color: var(--red); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } td:first-child, th:first-child { text-align: left; }
.words td { text-align: left; } .words th { text-align: left; }
tr.end td { color: var(--red); font-weight: 600; } .yes { color: var(--good); font-weight: 600; }
.no { color: var(--red); font-weight: 600; }
.figure { background: #fff; padding: .5rem; border-radius: .3rem; }
.figure svg text { fill: #1c1f24; }
pre { font: .95rem/1.4 ui-monospace, monospace; overflow-x: auto; }
.card { background: var(--card); border-left: .4rem solid var(--red); padding: 1rem 1.3rem;
  border-radius: .3rem; }
"""

GRADIENT_COLUMNS = 6
"""Layers whose gradients have a column in the table; of deeper networks the first and the last."""


def page(study: Study) -> str:
    """The page: what happens, the chart, where it began, what helps, and the numbers."""
    title = headline(study)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="soft">{html.escape(what(study))}, {study.settings["passes"]} passes</p>',
        f"<p>{html.escape(story(study))}</p>",
        "<h2>Size against pass</h2>",
        key(study),
        chart(study),
        *flight_section(study.first_nonfinite),
        *remedies_section(study),
        "<h2>Layer by layer</h2>",
        '<p class="soft">Norm of the gradient dW: the stronger the colour, the larger. '
        "Red, crossed out, is not finite.</p>",
        heat(study),
        "<h2>Pass by pass</h2>",
        passes_table(study),
    ]
    return document(title, body)


def document(title: str, body: list[str]) -> str:
    """A whole page that holds these elements."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>{chr(10).join(body)}</body></html>\n"
    )


def figure_page(title: str, svg: str, words: str) -> str:
    """The page of a figure, a drawing on white, over what there is to read about it."""
    return document(
        title,
        [
            f"<h1>{html.escape(title)}</h1>",
            f'<div class="figure">{svg}</div>',
            f"<pre>{html.escape(words)}</pre>",
        ],
    )


def write_page(text: str, path: str | os.PathLike[str]) -> None:
    """Write a page to a file."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise type(error)(f"{os.fspath(path)} cannot be written: {error.strerror}") from error


def headline(study: Study) -> str:
    """What happens, in a few words."""
    if study.overflow_pass is None:
        return f"{study.passes} passes, and every number stays finite"
    passes = f"{study.overflow_pass} passes" if study.overflow_pass > 1 else "one pass"
    return f"After {passes} the numbers are too large for {study.settings['dtype']}"


def story(study: Study) -> str:
    """How it comes to that, and what was foreseen."""
    sizes = largest_output(study)
    finite = sizes[np.isfinite(sizes)]
    if not len(finite):
        return "No output is finite."
    last = len(finite)
    parts = [f"The largest output is {power(finite[0])} in pass 1, and {power(finite[-1])} in "
             f"pass {last}."]  # fmt: skip
    law = growth(study).rstrip(": ")
    if law:
        layers = study.of("dW").shape[1]
        parts.append(
            f"{law}: the gradient of each layer is a product of the other {layers - 1}, so an "
            "update that makes all of them larger makes the next gradient larger still."
        )
    if study.forecast_pass is not None:
        parts.append(
            f"That pass {study.forecast_pass} would overflow was clear after pass "
            f"{study.forecast_made_at}."
        )
    return " ".join(parts)


def key(study: Study) -> str:
    """Which line is which."""
    entries = [("o", "largest output"), ("g", "norms of the gradients dW")]
    if study.overflow_pass is not None:
        entries += [("l", "the law, from passes 1 and 2"), ("x", "overflow")]
    spans = "".join(f'<span class="{kind}"><i></i>{name}</span>' for kind, name in entries)
    return f'<p class="key">{spans}</p>'


def flight_section(found: NonFinite | None) -> list[str]:
    """The first value that was not finite, and of what it was made."""
    if found is None:
        return []
    ranges = "; ".join(
        f"{name} from {low:.3g} to {high:.3g}" for name, (low, high) in found.operands.items()
    )
    return [
        "<h2>The first value that was not finite</h2>",
        f'<div class="card"><p><b>{html.escape(found.value)}</b> in '
        f"{html.escape(where(found))}, pass {found.pass_number}</p>"
        f'<p>{html.escape(found.cause)}.</p><p class="soft">{html.escape(ranges)}</p></div>',
    ]


def remedies_section(study: Study) -> list[str]:
    """What was tried, and what came of it."""
    if not study.remedies:
        return []
    rows = []
    for remedy in study.remedies:
        kind, outcome = "yes", f"all finite, up to {power(remedy.log2_largest)}"
        if not remedy.helps:
            kind, outcome = "no", f"overflows in pass {remedy.overflow_pass}"
        rows.append(
            f"<tr><td>{html.escape(remedy.name)}</td><td>{html.escape(remedy.change)}</td>"
            f'<td class="{kind}">{html.escape(outcome)}</td></tr>'
        )
    reason = untried(study)
    if reason:
        rows.append(f"<tr><td>batchnorm</td><td>on hidden layers</td><td>{reason}</td></tr>")
    return [
        "<h2>What would have prevented it</h2>",
        '<p class="soft">The same run, with one change at a time.</p>',
        '<div class="scroll"><table class="words"><tr><th>remedy</th><th>change</th>'
        f"<th>outcome</th></tr>{''.join(rows)}</table></div>",
    ]


def passes_table(study: Study) -> str:
    """Output, loss and gradients of every pass."""
    norms = study.of("dW")
    count = norms.shape[1]
    layers = list(range(count)) if count <= GRADIENT_COLUMNS else [0, 1, count - 2, count - 1]
    heads = ["pass", "largest output", "loss", *(f"|dW{layer + 1}|" for layer in layers)]
    rows = []
    for i in range(study.passes):
        sizes = [largest_output(study)[i], study.series["log2_loss"][i], *norms[i, layers]]
        kind = ' class="end"' if i + 1 == study.overflow_pass else ""
        cells = "".join(f"<td>{power(size)}</td>" for size in sizes)
        rows.append(f"<tr{kind}><td>{i + 1}</td>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
