"""Where settings come from, which are refused, and that secrets stay secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from genept.common.settings import Settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith("GENEPT_"):
            monkeypatch.delenv(name)


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.state == tmp_path / ".genept"
    assert settings.s3_endpoint is None
    assert settings.collections == settings.spaces == ()
    assert settings.max_genes is None


def test_arguments_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "genept.toml").write_text(
        'threads = 5\nbucket = "from-file"\nproduct = "from-file"\ncollections = ["a", "b"]\n'
    )
    monkeypatch.setenv("GENEPT_BUCKET", "from-environment")
    monkeypatch.setenv("GENEPT_PRODUCT", "from-environment")
    settings = Settings(product="from-argument")
    assert settings.threads == 5
    assert settings.bucket == "from-environment"
    assert settings.product == "from-argument"
    assert settings.collections == ("a", "b")


def test_lists_in_the_environment_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEPT_SPACES", '["minilm-l6-v2/name"]')
    assert Settings().spaces == ("minilm-l6-v2/name",)


def test_the_state_folder_is_absolute_and_may_be_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings(state_dir=Path("~/state")).state == tmp_path / "state"
    assert Settings(state_dir=Path("here/../there")).state == tmp_path / "there"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", "0"),
        ("threads", "many"),
        ("max_genes", "0"),
        ("bucket", "ab"),
        ("bucket", "x" * 64),
        ("product", "Has/Slash"),
        ("product", ""),
    ],
)
def test_a_wrong_value_names_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"GENEPT_{name.upper()}", value)
    with pytest.raises(ValidationError, match=rf"(?m)^{name}$"):
        Settings()


def test_a_misspelt_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "genept.toml").write_text("thread = 2\n")
    with pytest.raises(ValidationError, match=r"thread\n.*not permitted"):
        Settings()


@pytest.mark.parametrize("given", ["s3_access_key", "s3_secret_key"])
def test_credentials_come_in_pairs(given: str) -> None:
    with pytest.raises(ValidationError, match="set both GENEPT_S3_ACCESS_KEY and"):
        Settings(**{given: "x"})
    assert Settings(s3_access_key="x", s3_secret_key="y").s3_access_key == "x"


def test_the_secret_is_never_shown() -> None:
    settings = Settings(s3_access_key="known", s3_secret_key="hidden")
    assert "hidden" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.s3_secret_key is not None
    assert settings.s3_secret_key.get_secret_value() == "hidden"
    with pytest.raises(ValidationError) as refused:
        Settings(s3_secret_key="hidden")
    assert "hidden" not in str(refused.value)


def test_settings_do_not_change_under_those_who_hold_them() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.threads = 3


def test_another_process_in_another_folder_reads_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        s3_access_key="someone",
        s3_secret_key="planted",
        spaces=("minilm-l6-v2/name",),
        addresses={"hgnc": "https://example.org/hgnc"},
        embedders=Path("mine.toml"),
        embedding_budget=1.5,
        unattended=True,
        max_genes=None,
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    read = Settings()
    absolute = {"embedders": tmp_path / "mine.toml", "state_dir": tmp_path / ".genept"}
    assert read == settings.model_copy(update=absolute)
