"""Evidence: which lines of which sources a statement about a gene can cite."""

import polars as pl

from genept.language_models.descriptions import evidence_of, gene_evidence
from genept.text import Knowledge

GENES = pl.DataFrame(
    {
        "ensembl_gene_id": ["ENSG1", "ENSG2", "ENSG3"],
        "symbol": ["TP53", "MDM2", "AR"],
        "name": ["tumor protein p53", None, "androgen receptor"],
    }
)
FACTS = {
    "summary": pl.DataFrame(
        {
            "ensembl_gene_id": ["ENSG1", "ENSG1", "ENSG2"],
            "item": [
                "It induces apoptosis.",
                "Alternative splicing results in multiple transcript variants.",
                "It binds TP53.",
            ],
        }
    ),
    "go": pl.DataFrame(
        {
            "ensembl_gene_id": ["ENSG1"] * 11,
            "item": [*(f"process {n}" for n in range(10)), "DNA binding"],
            "aspect": [*["process"] * 10, "function"],
        }
    ),
}


class Sources:
    """Sources of knowledge that have summaries and terms."""

    def missing(self, part):
        return None if part in FACTS else "no source"

    def read(self, genes, parts):
        return Knowledge(genes, {part: FACTS[part] for part in parts}, dict.fromkeys(FACTS, "r1"))


def test_sentences_of_something_specific_and_lists_of_terms_are_numbered():
    (one,) = evidence_of(Sources(), GENES, ["ENSG1"])
    assert (one.symbol, one.name) == ("TP53", "tumor protein p53")
    assert one.numbered.splitlines() == [
        "[1] It induces apoptosis.",
        "[2] Gene Ontology, process: " + "; ".join(f"process {n}" for n in range(8)),
        "[3] Gene Ontology, function: DNA binding",
    ]
    assert one.sources == ("summary@r1", "go@r1", "go@r1")


def test_genes_of_which_nothing_is_known_are_left_out():
    known = evidence_of(Sources(), GENES, ["ENSG2", "ENSG3"])
    assert [(each.symbol, each.name) for each in known] == [("MDM2", "")]


def test_evidence_is_bounded_in_length_and_never_empty(monkeypatch):
    monkeypatch.setattr(gene_evidence, "MOST_CHARACTERS", 10)
    (one,) = evidence_of(Sources(), GENES, ["ENSG1"])
    assert one.lines == ("It induces",)
