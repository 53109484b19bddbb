"""Models as bytes: files of earlier versions are opened, under the same list of types."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from genept.models.drug_response.pipeline import OfLines
from genept.models.stored_models import (
    FORMER_MODULES,
    ModelRefusedError,
    dump_pipeline,
    load_pipeline,
)


def with_modules(data: bytes, modules: dict[str, str]) -> bytes:
    """The skops file with other names of modules in its schema."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode("latin-1")
            if name == "schema.json":
                for module, other in modules.items():
                    assert json.dumps(module) in content
                    content = content.replace(json.dumps(module), json.dumps(other))
            new.writestr(name, content.encode("latin-1"))
    return written.getvalue()


@pytest.fixture
def pipeline() -> Pipeline:
    rows = np.arange(12, dtype=np.float64).reshape(4, 3)
    return Pipeline([("scale", OfLines(StandardScaler().fit(rows[:, :2])))])


@pytest.mark.parametrize(("former", "present"), FORMER_MODULES.items())
def test_a_model_of_an_earlier_version_is_opened(pipeline: Pipeline, former: str, present: str):
    stored = with_modules(dump_pipeline(pipeline), {present: former})
    loaded = load_pipeline(stored, hashlib.sha256(stored).hexdigest(), where="model.skops")
    rows = np.ones((2, 3))
    np.testing.assert_array_equal(loaded.transform(rows), pipeline.transform(rows))


def test_a_former_module_makes_no_other_type_trusted(pipeline: Pipeline):
    (former,) = FORMER_MODULES
    data = with_modules(dump_pipeline(pipeline), {"sklearn.preprocessing._data": former})
    with pytest.raises(ModelRefusedError, match="names .*StandardScaler"):
        load_pipeline(data, hashlib.sha256(data).hexdigest(), where="model.skops")
