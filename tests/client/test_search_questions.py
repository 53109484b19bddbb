"""Questions to blood cells in words, and types by their texts on lanes left out: on real data.

Questions and answers were written before any setting was chosen (docs/text_and_expression.md).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from genept.client.searching.label_search import FittedLabels, label_scores
from genept.common.settings import Settings
from genept.datasources.download.archives import Archives
from genept.datasources.gene_ontology import read_ontology
from genept.datasources.parsers import parse_collection
from genept.embeddings.text_readings import (
    gene_centre,
    label_queries,
    text_vectors,
    type_probabilities,
    type_shares,
    type_terms,
)
from genept.text.embedder_registry import Embedders

pytestmark = [pytest.mark.index, pytest.mark.slow, pytest.mark.timeout(900)]

T_CELLS = {"T cells CD4 conv", "T cells CD8", "Tregs"}
QUESTIONS: dict[str, set[str]] = {
    "B cell that makes antibodies": {"Plasma cells", "B cells"},
    "cell that secretes large amounts of immunoglobulin": {"Plasma cells"},
    "lymphocyte that presents antigen through its B cell receptor": {"B cells"},
    "cell that kills virus-infected cells without prior sensitisation": {"NK cells"},
    "innate lymphocyte with killer cell immunoglobulin-like receptors": {"NK cells"},
    "cytotoxic T lymphocyte": {"T cells CD8"},
    "T cell that kills infected cells": {"T cells CD8"},
    "helper T cell": {"T cells CD4 conv"},
    "T cell that suppresses immune responses": {"Tregs"},
    "T cell receptor signaling": T_CELLS,
    "cell fragment that forms clots": {"Platelet"},
    "platelet activation and aggregation": {"Platelet"},
    "blood coagulation": {"Platelet"},
    "phagocyte that engulfs bacteria": {"Monocytes"},
    "precursor of tissue macrophages": {"Monocytes"},
    "inflammatory response to lipopolysaccharide": {"Monocytes"},
    "professional antigen presenting cell": {"mDC", "pDC", "B cells"},
    "dendritic cell of the myeloid lineage": {"mDC"},
    "cell that produces type I interferon": {"pDC"},
    "plasmacytoid dendritic cell": {"pDC"},
}
SHOWN, RIGHT, ANSWERED = 5, 3, 16


class Blood:
    """Collection pbmc-hao, its labels, and a model of texts."""

    def __init__(self, archives: Archives, genes: pl.DataFrame, state: Path) -> None:
        parsed = parse_collection(archives, archives.catalogue.collections["pbmc-hao"])
        self.expression = sp.csr_matrix(sp.vstack(list(parsed.expression.blocks())))
        self.labels = parsed.observations["cell_type"].to_numpy().astype(np.str_)
        self.lanes = parsed.observations["group_id"].to_numpy().astype(np.str_)
        self.types = sorted(set(self.labels.tolist()))
        self.embed = Embedders(Settings(state_dir=state), archives).minilm.embed
        named = genes.filter(pl.col("name").is_not_null()).sort("symbol").gather_every(40)
        texts = named.select(pl.format("{}: {}", "symbol", "name")).to_series().to_list()
        self.centre = gene_centre(np.asarray(self.embed(texts)))
        ontology = read_ontology(archives, "CL")
        queries = label_queries("pbmc-hao", self.types, ontology, of_field="cell_type")
        self.texts = self.vectors([query.texts(ontology) for query in queries])
        self.terms = type_terms(queries, ontology)
        self.names = self.vectors([[name] for name in self.terms.names])
        self.probabilities = partial(
            type_probabilities,
            self.expression,
            archives.catalogue.collections["pbmc-hao"].unit,
            self.labels,
            self.types,
        )

    def vectors(self, texts: list[list[str]]) -> np.ndarray:
        ends = np.cumsum([len(each) for each in texts])[:-1]
        embedded = np.asarray(self.embed([text for each in texts for text in each]))
        return text_vectors(self.centre, np.split(embedded, ends))


@pytest.fixture(scope="module")
def blood(
    real_archives: Archives, real_reference: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Blood:
    return Blood(real_archives, real_reference, tmp_path_factory.mktemp("state"))


def test_sixteen_of_twenty_questions_find_cells_of_the_types_meant(blood: Blood) -> None:
    likely = blood.probabilities()
    asked = blood.vectors([[question] for question in QUESTIONS])
    nothing = {"pbmc-hao": np.zeros(len(likely))}

    def answered(of_types: np.ndarray) -> int:
        fitted = {"pbmc-hao": FittedLabels(of_types, blood.texts, blood.terms, blood.names)}
        right = 0
        for text, meant in zip(asked, QUESTIONS.values(), strict=True):
            scores = label_scores(fitted, text, nothing)["pbmc-hao"]
            first = blood.labels[np.argsort(-scores, kind="stable")[:SHOWN]]
            right += sum(label in meant for label in first.tolist()) >= RIGHT
        return right

    assert answered(likely) >= ANSWERED
    dealt = np.random.default_rng(0).permutation(likely, axis=1)
    assert answered(dealt) < ANSWERED / 2


def areas(blood: Blood, likely: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve of each type for its own text, among some cells."""
    scores = likely @ type_shares(blood.texts, blood.texts).T
    return {
        name: float(roc_auc_score(blood.labels[asked] == name, scores[asked, at]))
        for at, name in enumerate(blood.types)
    }


def test_each_type_is_found_by_its_text_on_lanes_left_out(blood: Blood) -> None:
    lanes = sorted(set(blood.lanes.tolist()))
    likely = np.zeros((len(blood.labels), len(blood.types)))
    for first in range(4):
        asked = np.isin(blood.lanes, lanes[first::4])
        likely[asked] = blood.probabilities(fitted=~asked)[asked]
    found = areas(blood, likely, np.ones(len(likely), np.bool_))
    assert min(found.values()) >= 0.9, found
    assert np.mean(list(found.values())) >= 0.97, found


def test_types_are_found_in_another_experiment(blood: Blood) -> None:
    """Fitted on lanes E2L1 to E2L8, asked on L1 to L5, where platelets are few and shallow."""
    fitted = np.char.startswith(blood.lanes, "E2L")
    found = areas(blood, blood.probabilities(fitted=fitted), ~fitted)
    assert min(found.values()) >= 0.85, found
    assert np.mean(list(found.values())) >= 0.96, found
