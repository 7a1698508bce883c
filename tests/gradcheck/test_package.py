"""The package imports what is asked for, and `check` is a function whatever comes first."""

import subprocess
import sys
from pathlib import Path

import pytest

import gradcheck

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_there():
    for name in gradcheck.__all__:
        assert getattr(gradcheck, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gradcheck.nothing  # noqa: B018


@pytest.mark.parametrize(
    "first",
    ["import gradcheck.check", "import gradcheck.suite", "from gradcheck.check import check",
     "import gradcheck.network, gradcheck.check"],
)  # fmt: skip
def test_check_is_the_function(first):
    code = f"{first}\nimport gradcheck\nfrom gradcheck import check\nassert callable(check)"
    code += "\nassert gradcheck.check is check"
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)
