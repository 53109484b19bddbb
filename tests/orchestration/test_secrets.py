"""A key that the settings hold is in nothing that Dagster shows or keeps."""

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from pydantic import SecretStr

from genept.common.settings import Settings
from orchestration.definitions import build_defs

MARKER = "sk-planted-marker"


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`")
def test_no_snapshot_holds_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEPT_OPENAI_API_KEY", MARKER)
    settings = Settings(
        state_dir=tmp_path,
        s3_access_key="known",
        s3_secret_key=SecretStr(MARKER),
        spaces=("text-embedding-3-small/name",),
    )
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == MARKER
    defs = build_defs(settings)
    repository = defs.get_repository_def()
    snapshot = serialize_value(RepositorySnap.from_def(repository))
    job = serialize_value(defs.resolve_job_def("release").get_job_snapshot())
    assert "gene_embeddings" in snapshot
    assert MARKER not in snapshot + job + repr(settings) + settings.model_dump_json()
    assert isinstance(repository, dg.RepositoryDefinition)
