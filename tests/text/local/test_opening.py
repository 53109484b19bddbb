"""Opening models: kept graphs, pinned files, other networks, and files that are refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_folders import SPECIAL, toy_folder, write_json
from reference_bert import TOY_WORDS, random_weights, token_vectors
from safetensors.numpy import load_file
from scipy.special import erf

from genept.text.embedders import TextEmbedder, UnusableModelError
from genept.text.local.bert_graph import build_graph
from genept.text.local.local_models import local_model
from genept.text.local.model_files import PublishedFiles, files_of, folder_files
from genept.text.local.opening import open_local_model

TEXTS = ["w1 w2 w3", "w5", " ".join(TOY_WORDS[:30])]


def opened(
    folder: Path | None, graphs: Path, mirrors: tuple[str, ...] = (), **changes: Any
) -> TextEmbedder:
    entry = {"id": "toy", "kind": "bert", "folder": folder, "max_tokens": 200} | changes
    entry = {name: value for name, value in entry.items() if value is not None}
    model = local_model(entry)
    return open_local_model(model, files_of(model, None, mirrors), graphs, threads=1)


def token_ids(text: str) -> list[int]:
    return [2, *(TOY_WORDS.index(word) + 4 for word in text.split()), 3]


# --- kept graphs and pinned files ---------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy_folder(tmp_path / "toy")


def test_second_start_uses_the_kept_graph(folder: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    pinned = {"sha256": {"model.safetensors": sha256}}
    first = opened(folder, tmp_path / "graphs", **pinned)
    (kept,) = (tmp_path / "graphs").iterdir()
    (folder / "model.safetensors").write_bytes(b"never read again")
    second = opened(folder, tmp_path / "graphs", **pinned)
    assert list((tmp_path / "graphs").iterdir()) == [kept]
    assert first.identity == second.identity
    np.testing.assert_array_equal(first.embed(TEXTS), second.embed(TEXTS))


@pytest.mark.parametrize(
    "damage",
    [
        lambda graph: graph[:-100],
        lambda graph: b"",
        lambda graph: graph[:-9] + b"\x01" + graph[-8:],
    ],
)
def test_a_damaged_graph_is_built_again(
    folder: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    graphs = tmp_path / "graphs"
    expected = opened(folder, graphs).embed(TEXTS)
    (kept,) = graphs.iterdir()
    graph = kept.read_bytes()
    kept.write_bytes(damage(graph))
    np.testing.assert_array_equal(opened(folder, graphs).embed(TEXTS), expected)
    assert [path.read_bytes() == graph for path in graphs.iterdir()] == [True]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_is_not_the_pinned_one_is_refused(
    folder: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UnusableModelError, match=rf"{name} in .* has sha256 .* expected 0000"):
        opened(folder, tmp_path / "graphs", sha256={name: "0" * 64})
    assert not (tmp_path / "graphs").exists()


def test_an_interrupted_write_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="disk is full"):
            opened(folder, tmp_path / "graphs")
    assert list((tmp_path / "graphs").iterdir()) == []


def test_other_weights_or_another_tokenizer_are_another_embedder(tmp_path: Path) -> None:
    first, second = toy_folder(tmp_path / "a"), toy_folder(tmp_path / "b")
    toy_folder(tmp_path / "c", weights=random_weights(seed=1))
    (second / "tokenizer.json").write_text((first / "tokenizer.json").read_text() + "\n")
    identities = {opened(tmp_path / name, tmp_path / "graphs").identity for name in "abc"}
    assert len(identities) == 3


# --- where files are ----------------------------------------------------------------------


def test_a_model_without_a_folder_is_found_below_a_mirror(tmp_path: Path) -> None:
    toy_folder(tmp_path / "second" / "models" / "toy")
    (tmp_path / "first").mkdir()
    mirrors = (str(tmp_path / "first"), "https://example.org/mirror", str(tmp_path / "second"))
    here = opened(tmp_path / "second" / "models" / "toy", tmp_path / "graphs")
    mirrored = opened(None, tmp_path / "graphs", mirrors)
    assert mirrored.identity == here.identity
    np.testing.assert_array_equal(mirrored.embed(TEXTS), here.embed(TEXTS))
    with pytest.raises(UnusableModelError, match=r"no files here: run `genept embedders add"):
        opened(None, tmp_path / "graphs", mirrors[:2])


def test_names_that_lead_out_of_a_folder_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    files: PublishedFiles = folder_files(toy_folder(tmp_path / "toy"), {})
    for name in ("../secret", str(tmp_path / "secret"), "missing"):
        assert not files.has(name)
        with pytest.raises(UnusableModelError, match="has no file"):
            files.read(name)


# --- formats and networks -----------------------------------------------------------------


class Alarm:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "ran")


def test_pickled_weights_are_not_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Alarm(tmp_path / "ran")))
    with pytest.raises(UnusableModelError, match=r"pytorch_model\.bin.*convert it to model\.safe"):
        opened(folder, tmp_path / "graphs")
    for name in ("model.safetensors", "tokenizer.json"):  # renamed, it is not read either
        toy_folder(folder)
        (folder / name).write_bytes(pickle.dumps(Alarm(tmp_path / "ran")))
        with pytest.raises(
            UnusableModelError, match="no safetensors file|tokenizer cannot be read"
        ):
            opened(folder, tmp_path / "graphs")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "nomic_bert"}, "type 'nomic_bert' is not run here.*OpenAI-compatible"),
        ({"model_type": "qwen3"}, "type 'qwen3' is not run here.*GENEPT_EMBEDDERS"),
        ({"position_embedding_type": "relative_key"}, "'relative_key' are not run here"),
        ({"hidden_act": "silu"}, "activation 'silu' is none of"),
        ({"is_decoder": True}, "is a decoder"),
        ({"auto_map": {"AutoModel": "own.py"}}, "code of its own"),
        ({"num_attention_heads": "many"}, "no configuration of an encoder"),
        ({"num_attention_heads": 7}, "does not divide into 7 heads"),
    ],
)
def test_what_is_not_run_here_is_refused_in_words(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    folder = toy_folder(tmp_path / "toy", config=config)
    with pytest.raises(UnusableModelError, match=reason):
        opened(folder, tmp_path / "graphs")


def test_weights_that_lack_a_part_are_named(tmp_path: Path) -> None:
    weights = random_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    folder = toy_folder(tmp_path / "toy", weights=weights)
    with pytest.raises(UnusableModelError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        opened(folder, tmp_path / "graphs")


def test_names_of_older_checkpoints_and_of_heads_on_top_are_read(tmp_path: Path) -> None:
    plain = opened(toy_folder(tmp_path / "plain"), tmp_path / "graphs").embed(TEXTS)
    named = {"cls.predictions.bias": np.ones(3, np.float32)}
    for name, values in random_weights().items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        named[f"bert.{old.replace('LayerNorm.bias', 'LayerNorm.beta')}"] = values
    folder = toy_folder(tmp_path / "named", weights=named)
    np.testing.assert_allclose(opened(folder, tmp_path / "graphs").embed(TEXTS), plain, atol=1e-6)


def tanh_gelu(x: np.ndarray) -> np.ndarray:
    value: np.ndarray = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return value


def exact_gelu(x: np.ndarray) -> np.ndarray:
    value: np.ndarray = x * (1 + erf(x / np.sqrt(2))) / 2
    return value


@pytest.mark.parametrize(
    ("name", "function"),
    [("gelu", exact_gelu), ("gelu_new", tanh_gelu), ("relu", lambda x: np.maximum(x, 0))],
)
def test_heads_epsilon_and_activation_are_those_of_the_configuration(
    tmp_path: Path, name: str, function: Callable[[np.ndarray], np.ndarray]
) -> None:
    config = {"hidden_act": name, "layer_norm_eps": 0.1, "num_attention_heads": 4}
    folder = toy_folder(tmp_path / "toy", config=config)
    vectors = opened(folder, tmp_path / "graphs", pooling="cls", normalised=False).embed(TEXTS)
    weights = random_weights()
    expected = [
        token_vectors(weights, token_ids(text), 4, epsilon=0.1, gelu=function)[0] for text in TEXTS
    ]
    np.testing.assert_allclose(vectors, np.array(expected), atol=5e-5)


@pytest.mark.parametrize("network", ["roberta", "xlm-roberta"])
def test_positions_after_the_padding_token(tmp_path: Path, network: str) -> None:
    weights = random_weights(positions=258)
    weights["embeddings.token_type_embeddings.weight"] = weights[
        "embeddings.token_type_embeddings.weight"
    ][:1]
    config = {"model_type": network, "pad_token_id": 1, "max_position_embeddings": 258}
    folder = toy_folder(tmp_path / "toy", weights=weights, config=config)
    vectors = opened(folder, tmp_path / "graphs", normalised=False, max_tokens=256).embed(TEXTS)
    expected = [
        token_vectors(weights, token_ids(text), 12, first_position=2).mean(axis=0) for text in TEXTS
    ]
    np.testing.assert_allclose(vectors, np.array(expected), atol=5e-5)
    with pytest.raises(UnusableModelError, match="reads 256 tokens, and max_tokens = 257"):
        opened(folder, tmp_path / "graphs", max_tokens=257)


def distance_row(query: int, key: int) -> int:
    """Row of the table of distances, one pair at a time, as Raffel et al. 2020 describe it."""
    ahead, distance = key > query, abs(key - query)
    if distance >= 8:
        scale = np.log(np.float32(distance) / 8) / np.log(np.float32(128) / 8)
        distance = min(8 + int(scale * 8), 15)
    return distance + 16 * ahead


def mpnet_weights() -> dict[str, np.ndarray]:
    names = {
        ".attention.self.query.": ".attention.attn.q.",
        ".attention.self.key.": ".attention.attn.k.",
        ".attention.self.value.": ".attention.attn.v.",
        ".attention.output.dense.": ".attention.attn.o.",
        ".attention.output.LayerNorm.": ".attention.LayerNorm.",
    }  # fmt: skip
    weights = {}
    for name, values in random_weights(positions=258).items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)  # noqa: PLW2901
        weights[name] = values
    del weights["embeddings.token_type_embeddings.weight"]
    rng = np.random.default_rng(5)
    bias = rng.normal(0, 1, (32, 12)).astype(np.float32)
    return weights | {"encoder.relative_attention_bias.weight": bias}


def test_mpnet_attends_by_distance(tmp_path: Path) -> None:
    weights = mpnet_weights()
    config = {"model_type": "mpnet", "pad_token_id": 1, "max_position_embeddings": 258}
    folder = toy_folder(tmp_path / "toy", weights=weights, config=config)
    texts = [*TEXTS, " ".join(TOY_WORDS * 3)]
    vectors = opened(folder, tmp_path / "graphs", normalised=False).embed(texts)
    bias = weights["encoder.relative_attention_bias.weight"].astype(np.float64)
    plain = random_weights(positions=258)
    del plain["embeddings.token_type_embeddings.weight"]
    for text, vector in zip(texts, vectors, strict=True):
        ids = token_ids(text)
        ids = [*ids[:199], 3] if len(ids) > 200 else ids
        rows = [[distance_row(q, k) for k in range(len(ids))] for q in range(len(ids))]
        tokens = token_vectors(
            plain, ids, 12, first_position=2, attention_bias=bias[rows].transpose(2, 0, 1)
        )
        np.testing.assert_allclose(vector, tokens.mean(axis=0), atol=5e-5)


def test_distilbert_has_names_of_its_own(tmp_path: Path) -> None:
    names = {
        "encoder.layer.": "distilbert.transformer.layer.",
        "attention.self.query": "attention.q_lin", "attention.self.key": "attention.k_lin",
        "attention.self.value": "attention.v_lin", "attention.output.dense": "attention.out_lin",
        "attention.output.LayerNorm": "sa_layer_norm",
        "intermediate.dense": "ffn.lin1", "output.dense": "ffn.lin2",
        "output.LayerNorm": "output_layer_norm",
    }  # fmt: skip
    weights = {}
    for name, values in random_weights().items():
        new = name
        for ours, theirs in names.items():
            new = new.replace(ours, theirs)
        weights[new if new.startswith("distilbert.") else f"distilbert.{new}"] = values
    del weights["distilbert.embeddings.token_type_embeddings.weight"]
    config = {"model_type": "distilbert", "n_heads": 4, "activation": "gelu"}
    folder = toy_folder(tmp_path / "toy", weights=weights, config=config)
    vectors = opened(folder, tmp_path / "graphs", normalised=False).embed(TEXTS)
    plain = random_weights()
    del plain["embeddings.token_type_embeddings.weight"]
    expected = [token_vectors(plain, token_ids(text), 4).mean(axis=0) for text in TEXTS]
    np.testing.assert_allclose(vectors, np.array(expected), atol=5e-5)


def test_a_vocabulary_is_a_tokenizer_too(folder: Path, tmp_path: Path) -> None:
    expected = opened(folder, tmp_path / "graphs").embed(TEXTS)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UnusableModelError, match=r"neither tokenizer\.json nor vocab\.txt"):
        opened(folder, tmp_path / "graphs")
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *TOY_WORDS)) + "\n")
    embedder = opened(folder, tmp_path / "graphs")
    np.testing.assert_array_equal(embedder.embed(TEXTS), expected)
    np.testing.assert_array_equal(embedder.embed([TEXTS[0].upper()]), expected[:1])
    write_json(folder / "tokenizer_config.json", {"do_lower_case": False})
    cased = opened(folder, tmp_path / "graphs")
    assert cased.identity != embedder.identity
    assert np.abs(cased.embed([TEXTS[0].upper()]) - expected[:1]).max() > 1e-3
    (folder / "vocab.txt").write_text("w1\nw2\n")
    with pytest.raises(UnusableModelError, match=r"lacks \['\[UNK\]', '\[CLS\]', '\[SEP\]'\]"):
        opened(folder, tmp_path / "graphs")


# --- weights as ONNX ----------------------------------------------------------------------


def hidden_states_graph(folder: Path, *, also: str | None = None) -> bytes:
    """The toy encoder as publishers export it: token ids in, the last hidden state out."""
    import onnx
    from onnx import TensorProto, helper

    graph = onnx.load_from_string(build_graph(load_file(folder / "model.safetensors")))
    (squeeze,) = [node for node in graph.graph.node if node.op_type == "Squeeze"]
    (product,) = [node for node in graph.graph.node if squeeze.input[0] in node.output]
    state = product.input[1]
    graph.graph.node.append(helper.make_node("Identity", [state], ["last_hidden_state"]))
    del graph.graph.output[:]
    shape = ["batch", "sequence", 48]
    graph.graph.output.append(
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape)
    )
    for name in ("token_type_ids", also):
        if name:
            value = helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            graph.graph.input.append(value)
    return bytes(graph.SerializeToString())


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("normalised", [True, False])
def test_weights_may_be_onnx(folder: Path, tmp_path: Path, pooling: str, normalised: bool) -> None:
    settings = {"pooling": pooling, "normalised": normalised, "dimensions": 30}
    built = opened(folder, tmp_path / "graphs", **settings)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(hidden_states_graph(folder))
    read = opened(folder, tmp_path / "graphs", weights="onnx/model.onnx", **settings)
    np.testing.assert_allclose(read.embed(TEXTS), built.embed(TEXTS), atol=2e-5)
    assert read.identity != built.identity


def test_onnx_files_that_cannot_be_run_are_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(hidden_states_graph(folder, also="pixel_values"))
    with pytest.raises(UnusableModelError, match=r"asks for inputs \['pixel_values'\]"):
        opened(folder, tmp_path / "graphs", weights="model.onnx")
    path.write_bytes(json.dumps({}).encode())
    with pytest.raises(Exception, match=r"model\.onnx in .* cannot be read"):
        opened(folder, tmp_path / "graphs", weights="model.onnx")
