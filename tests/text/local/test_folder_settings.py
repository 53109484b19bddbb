"""What a model's folder says about itself, and what its user has to say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_folders import POOLING, TRANSFORMER, toy_folder, write_json

from genept.text.embedders import UnusableModelError
from genept.text.local.folder_settings import describe_folder

PROMPTS = {"query": "query : ", "passage": "w7 : "}


def test_what_sentence_transformers_write_is_read(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "toy", pooling="cls", prompts=PROMPTS, longest=64)
    said = describe_folder(folder, "toy", {})
    sha256 = said.pop("sha256")
    assert said == {
        "id": "toy", "kind": "bert", "folder": str(folder), "pooling": "cls", "normalised": True,
        "query_prefix": "query : ", "passage_prefix": "w7 : ", "max_tokens": 64,
    }  # fmt: skip
    assert (
        sha256["model.safetensors"]
        == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    )
    assert set(sha256) == {"model.safetensors", "tokenizer.json", "config.json"}


def test_what_the_user_says_is_taken_first(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "toy", pooling="cls", prompts=PROMPTS, longest=64)
    given = {"pooling": "mean", "max_tokens": 32, "query_prefix": "", "dimensions": 12}
    said = describe_folder(folder, "toy", given)
    assert {name: said[name] for name in given} == given


@pytest.mark.parametrize(("normalised", "mode"), [(True, "mean"), (False, "last")])
def test_a_module_says_whether_vectors_have_unit_length(
    tmp_path: Path, normalised: bool, mode: str
) -> None:
    folder = toy_folder(tmp_path / "toy", pooling=mode, normalised=normalised)
    said = describe_folder(folder, "toy", {})
    assert (said["normalised"], said["pooling"]) == (normalised, mode)


def test_a_plain_folder_needs_its_pooling_said(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "toy")
    with pytest.raises(UnusableModelError, match="give --pooling mean, cls or last"):
        describe_folder(folder, "toy", {})
    said = describe_folder(folder, "toy", {"pooling": "cls"})
    assert said["max_tokens"] == 256  # its positions
    write_json(folder / "tokenizer_config.json", {"model_max_length": 100})
    assert describe_folder(folder, "toy", {"pooling": "cls"})["max_tokens"] == 100
    write_json(folder / "tokenizer_config.json", {"model_max_length": 10**30})
    assert describe_folder(folder, "toy", {"pooling": "cls"})["max_tokens"] == 256


def with_modules(*modules: dict[str, Any]) -> Callable[[Path], None]:
    return lambda folder: write_json_list(folder / "modules.json", modules)


def write_json_list(path: Path, content: Any) -> None:
    path.write_text(json.dumps(list(content)))


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:53aa\nsize 90868376\n"
DENSE = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
MAX = {"pooling_mode_max_tokens": True}
BOTH = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_modules(TRANSFORMER, POOLING, DENSE), "through a module 'Dense', which is not run"),
        (with_modules({"type": 1}), r"modules\.json cannot be read"),
        (with_modules({**POOLING, "path": "../elsewhere"}), "has no file ../elsewhere/config.json"),
        (lambda folder: (folder / "modules.json").write_text("{"), r"modules\.json cannot be read"),
        (
            lambda folder: write_json(folder / "1_Pooling" / "config.json", MAX),
            "by max_tokens: only cls",
        ),
        (lambda folder: write_json(folder / "1_Pooling" / "config.json", BOTH), "are pooled by"),
        (lambda folder: (folder / "config.json").write_text("[]"), "expected an object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_text(LFS), "git lfs pull"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "neither tokenizer.json nor"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(
    tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    folder = toy_folder(tmp_path / "toy", pooling="cls")
    change(folder)
    with pytest.raises(UnusableModelError, match=reason):
        describe_folder(folder, "toy", {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: write_json(folder / "config.json", {"model_type": "llama"}), "'llama'"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "neither tokenizer.json nor"),
        (lambda folder: (folder / "config.json").unlink(), "has no file config.json"),
    ],
)
def test_pooling_is_asked_for_only_where_the_rest_can_be_used(
    tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    folder = toy_folder(tmp_path / "toy")
    change(folder)
    with pytest.raises(UnusableModelError, match=reason):
        describe_folder(folder, "toy", {})


def test_of_a_folder_above_the_files_the_right_one_is_named(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "models--x" / "snapshots" / "0f", pooling="cls")
    with pytest.raises(UnusableModelError, match=f"give {folder}"):
        describe_folder(tmp_path / "models--x", "toy", {})


def test_newer_files_name_their_pooling(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "toy", pooling="cls")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode": "lasttoken"})
    assert describe_folder(folder, "toy", {})["pooling"] == "last"


def test_weights_are_found_as_onnx(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "toy", pooling="cls")
    (folder / "onnx").mkdir()
    (folder / "model.safetensors").rename(folder / "onnx" / "model.onnx")
    assert describe_folder(folder, "toy", {})["weights"] == "onnx/model.onnx"
    write_json(folder / "config.json", {"model_type": "any"})
    said = describe_folder(folder, "toy", {"max_tokens": 64})
    assert said["weights"] == "onnx/model.onnx"


def test_a_static_table_needs_no_pooling(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path / "toy", weights={"embeddings": np.ones((96, 4), np.float32)})
    assert "pooling" not in describe_folder(folder, "toy", {"kind": "static"})
