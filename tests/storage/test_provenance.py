"""An origin tells everything that decides a result."""

import numpy as np

from genept.storage.code_versions import code_version
from genept.storage.provenance import Origin


def test_an_origin_tells_code_inputs_settings_and_libraries() -> None:
    origin = Origin(("genept.schema.columns",), {"genes": "1"}, {"seed": 3}, ("numpy",))
    assert origin.as_dict() == {
        "code_version": code_version("genept.schema.columns"),
        "inputs": {"genes": "1"},
        "settings": {"seed": 3},
        "libraries": {"numpy": np.__version__},
    }
