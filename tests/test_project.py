"""The house: its imports run one way, its packages are typed, its wheel holds three packages."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("gradcheck", "kernels", "mlp")


def imported(path):
    """Top-level names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize(
    ("package", "others"),
    [("kernels", {"mlp", "gradcheck", "bench", "tests"}), ("mlp", {"gradcheck", "bench", "tests"}),
     ("gradcheck", {"kernels", "mlp", "numba", "bench", "tests"})],
)  # fmt: skip
def test_imports_run_one_way(package, others):
    for path in (ROOT / package).rglob("*.py"):
        assert not others & set(imported(path)), path


def test_packages_are_typed():
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()


def test_another_package_named_kernels_is_named(tmp_path):
    """Hugging Face's `kernels` claims the same import name."""
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("def get_kernel(): ...\n")
    done = subprocess.run(
        [sys.executable, "-c", "import mlp"], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: mlp needs the package `kernels` of backproof, but")
    assert str(tmp_path) in last


def test_readme_examples_run():
    """Every Python block of the README, in order, in one namespace."""
    blocks = (ROOT / "README.md").read_text().split("```python\n")[1:]
    assert blocks
    namespace = {}
    for block in blocks:
        exec(compile(block.partition("```")[0], "README.md", "exec"), namespace)


def test_the_readmes_table_of_operations_is_the_table():
    sys.path.insert(0, str(ROOT))
    from docs.optable import table

    assert table() in (ROOT / "README.md").read_text()
