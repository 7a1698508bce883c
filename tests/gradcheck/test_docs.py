"""docs/gradcheck.md: its code runs, its table is the table, its JSON keys are the keys."""

from pathlib import Path

from docs.causes import table
from tests.gradcheck.render.samples import sample

PAGE = (Path(__file__).parents[2] / "docs" / "gradcheck.md").read_text()


def test_the_code_runs(capsys):
    blocks = PAGE.split("```python\n")[1:]
    assert blocks
    namespace = {}
    for block in blocks:
        exec(compile(block.partition("```")[0], "gradcheck.md", "exec"), namespace)
    assert "fail" in capsys.readouterr().out


def test_the_table_of_causes():
    assert table() in PAGE, "python docs/causes.py writes it"


def test_the_keys_of_the_json():
    document = sample().to_dict()
    for key in [*document, *document["findings"][0], *document["causes"][0]]:
        assert f'"{key}": ' in PAGE, key
