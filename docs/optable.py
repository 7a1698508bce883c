"""python docs/optable.py: prints the README's table of operations from `kernels.OPS`."""

from kernels import OPS


def table() -> str:
    """One row for each operation: names, shapes, settings, formula."""
    rows = [
        "| operation | forward | backward gives | shapes | settings | formula |",
        "|---|---|---|---|---|---|",
    ]
    for op in OPS.values():
        call = ", ".join(a.name for a in op.forward.arguments if a.role != "output")
        gradients = ", ".join("d" + name for name in op.gradients) or "–"
        settings = ", ".join(f"{name}={h.default:g}" for name, h in op.hyper.items()) or "–"
        formula = op.forward.__doc__.strip().splitlines()[0].rstrip(".").replace("|", "\\|")
        rows.append(
            f"| {op.name} | `{op.forward.__name__}({call})` | {gradients} | "
            f"`{op.signature}` | {settings} | {formula} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
