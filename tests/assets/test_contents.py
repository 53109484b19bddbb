"""The package of assets is a contents page: what is computed is in the library."""

from pathlib import Path

import assets

LONGEST = 100
"""Lines of a module."""


def test_no_module_of_assets_is_longer_than_a_page():
    lines = {
        path.name: len(path.read_text("utf-8").splitlines())
        for path in Path(str(assets.__file__)).parent.glob("*.py")
    }
    assert len(lines) > 10
    assert {name: n for name, n in lines.items() if n > LONGEST} == {}
