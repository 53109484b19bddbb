"""A distribution of somebody else, as pip would lay it out: a module, and its entry points."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

MODULE = '''
"""Adds an embedder, a format of collections, and a task on genes."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from genept.benchmarks.gene_tasks import GeneTask
from genept.benchmarks.task_base import predictions
from genept.datasources import Reader
from genept.datasources.formats import FormatOptions
from genept.datasources.readers import from_matrix, observation_frame


class Letters:
    """Counts the letters a to z."""

    id, dimensions, max_tokens, identity, unit_norm = "letters-26", 26, None, "v1", True

    def embed(self, texts):
        counts = [[1 + text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        vectors = np.array(counts, dtype=np.float32).reshape(-1, 26)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def open_letters(resources):
    assert resources.threads >= 1
    return Letters()


class LinesOptions(FormatOptions):
    separator: str = ","


def parse_lines(archives, collection):
    """Lines of sample, gene, value."""
    options = LinesOptions.model_validate(collection.options)
    text = archives.fetch(collection.sources[0]).read_text()
    lines = [line.split(options.separator) for line in text.splitlines()]
    samples = sorted({line[0] for line in lines})
    genes = sorted({line[1] for line in lines})
    values = np.zeros((len(samples), len(genes)), dtype=np.float32)
    for sample, gene, value in lines:
        values[samples.index(sample), genes.index(gene)] = float(value)
    observations = observation_frame(samples, samples, {})
    return from_matrix(values, input_genes=genes, observations=observations)


lines = Reader(options=LinesOptions, parse=parse_lines)


@dataclass(frozen=True, kw_only=True)
class FirstDigit(GeneTask):
    """Whether the last digit of a gene's Ensembl id is even; its labels are its own."""

    def rows(self, labels):
        genes = [f"ENSG{number:011d}" for number in range(400)]
        return pl.DataFrame({
            "position": range(400), "ensembl_gene_id": genes, "fate": ["scored"] * 400,
            "label": ["even" if int(gene[-1]) % 2 == 0 else "odd" for gene in genes],
        })

    def predict(self, rows, vectors, *, draw=None):
        genes = rows["ensembl_gene_id"].to_list()
        truth = [str(int(label == "even")) for label in rows["label"]]
        score = vectors.of(genes)[:, 0].astype(float)
        return predictions(self.model, self.clean, draw or 0, genes, truth, score=score)


parity = FirstDigit(
    id="parity", dataset="its-own", title="Even numbers", metrics=("auroc",), clean="all",
    model="first-dimension",
)
'''
GOOD = {
    "genept.embedders": {"letters-26": "genept_letters:open_letters"},
    "genept.readers": {"lines": "genept_letters:lines"},
    "genept.tasks": {"parity": "genept_letters:parity"},
}


def install(
    folder: Path,
    name: str = "genept-letters",
    points: dict[str, dict[str, str]] = GOOD,
    source: str = MODULE,
) -> Path:
    """Lay a distribution out below `folder`, which is then to be on the path."""
    module = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(dedent(source))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    sections = (
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in points.items()
    )
    (info / "entry_points.txt").write_text("\n".join(sections))
    return folder
