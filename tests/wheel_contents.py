"""python tests/wheel_contents.py DIST: asserts what the one wheel in DIST holds."""

import sys
import zipfile
from pathlib import Path

EXPECTED = {"gradcheck", "kernels", "mlp"}


def main(folder: str) -> int:
    (wheel,) = Path(folder).glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    packages = {top for top in tops if not top.endswith(".dist-info")}
    typed = {name.partition("/")[0] for name in names if name.endswith("/py.typed")}
    assert packages == EXPECTED, f"top-level names are {sorted(packages)}"
    assert typed == EXPECTED, f"typed packages are {sorted(typed)}"
    print(f"{wheel.name}: top-level names {', '.join(sorted(packages))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
