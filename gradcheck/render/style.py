"""The style sheet of the page and of the fragment in a notebook.

Colours are variables, so that the same heat map reads well on a light and on a dark ground. A
notebook's own theme goes before that of the system.
"""

LIGHT = """
  --ground: #ffffff; --card: #f7f8fa; --ink: #1d2129; --faint: #626a75; --line: #d9dde3;
  --pass: #1a7f45; --fail: #c02a1d; --inconclusive: #956400; --bar: #c3cad3;
  --level-0: #e8ebee; --unknown: #ffffff; --hatch: #b9c0c9;
  --less-1: #c6dbef; --less-2: #85b7dd; --less-3: #3f86c0; --less-4: #08478b;
  --more-1: #fdd0b0; --more-2: #f79a62; --more-3: #e0592a; --more-4: #9c2706;
"""

DARK = """
  --ground: #14171c; --card: #1c2027; --ink: #e4e7eb; --faint: #9aa3ae; --line: #343b45;
  --pass: #4cc27c; --fail: #ff7a6b; --inconclusive: #e2b044; --bar: #4a535f;
  --level-0: #39414b; --unknown: #14171c; --hatch: #4a535f;
  --less-1: #27445f; --less-2: #3b74a8; --less-3: #69a8e0; --less-4: #b9dcfc;
  --more-1: #5c3322; --more-2: #a3532c; --more-3: #e58250; --more-4: #ffcfae;
"""

RULES = """
.gradcheck { background: var(--ground); color: var(--ink); max-width: 60rem; margin: 0 auto;
  padding: 1rem 1.25rem; font: 15px/1.5 system-ui, sans-serif; box-sizing: border-box; }
.gradcheck h1 { font-size: 1.4rem; margin: 0 0 .25rem; display: flex; gap: .6rem;
  align-items: baseline; flex-wrap: wrap; }
.gradcheck h2 { font-size: 1.05rem; margin: 0; display: inline-flex; gap: .6rem;
  align-items: baseline; flex-wrap: wrap; }
.gradcheck p { margin: .3rem 0; }
.gradcheck .facts, .gradcheck figcaption, .gradcheck .where { color: var(--faint); }
.gradcheck .where { font-weight: normal; font-size: .95rem; }
.gradcheck .verdict { font-size: .8rem; font-weight: 600; letter-spacing: .03em;
  border: 1px solid currentColor; border-radius: 1rem; padding: .05rem .6rem; }
.gradcheck .pass { color: var(--pass); } .gradcheck .fail { color: var(--fail); }
.gradcheck .inconclusive { color: var(--inconclusive); }
.gradcheck .finding { background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .75rem 1rem; margin: .75rem 0; overflow-x: auto; }
.gradcheck summary { cursor: pointer; }
.gradcheck code, .gradcheck table { font-family: ui-monospace, "DejaVu Sans Mono", monospace;
  font-size: .87em; }
.gradcheck table { border-collapse: collapse; margin: .5rem 0; background: none; }
.gradcheck th, .gradcheck td { text-align: right; padding: .1rem .9rem .1rem 0; border: 0;
  color: var(--ink); background: none; font-variant-numeric: tabular-nums; white-space: nowrap; }
.gradcheck th { color: var(--faint); font-weight: normal; }
.gradcheck ol { margin: .4rem 0; padding-left: 1.4rem; }
.gradcheck li { margin: .35rem 0; }
.gradcheck .slug { font-weight: 600; margin-right: .4rem; }
.gradcheck meter { width: 4rem; height: .7rem; vertical-align: middle; }
.gradcheck figure { margin: .75rem 0; overflow-x: auto; }
.gradcheck figcaption { font-size: .85rem; }
.gradcheck svg { display: block; margin: .35rem 0; max-width: 100%; height: auto; }
.gradcheck svg text { fill: var(--faint); font: 10px system-ui, sans-serif; }
.gradcheck .cell:hover { stroke: var(--ink); stroke-width: 1.5; }
.gradcheck .hatch { stroke: var(--hatch); stroke-width: 1; fill: none; }
"""

CELLS = "\n".join(
    [".gradcheck .unknown { fill: var(--unknown); stroke: var(--line); }"]
    + [".gradcheck .level-0 { fill: var(--level-0); }"]
    + [
        f".gradcheck .{side}-{level} {{ fill: var(--{side}-{level}); }}"
        for side in ("less", "more")
        for level in range(1, 5)
    ]
)

STYLE = f"""
.gradcheck {{ color-scheme: light; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ .gradcheck {{ color-scheme: dark; {DARK} }} }}
[data-jp-theme-light="true"] .gradcheck {{ color-scheme: light; {LIGHT} }}
[data-jp-theme-light="false"] .gradcheck, .vscode-dark .gradcheck
  {{ color-scheme: dark; {DARK} }}
{RULES}
{CELLS}
"""

PAGE_STYLE = """
html { background: #ffffff; } body { margin: 0; }
@media (prefers-color-scheme: dark) { html { background: #14171c; } }
"""
