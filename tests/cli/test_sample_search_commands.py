"""`genept collections search`: samples of ARCHS4 become a collection that a run reads by ranges."""

from __future__ import annotations

import gzip
import json
import os
import re
import secrets
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_layouts import TEXT, write_archs4
from planted import gene, reference_of
from publisher import Publisher, publisher
from typer.testing import CliRunner

import genept.cli.collections.collections_commands
import genept.client.installation
from genept.cli.collections.collections_commands import collections
from genept.client.installation import Installation
from genept.collections.labels import LabelMapper
from genept.common.errors import SourceError
from genept.common.settings import Settings
from genept.datasources.gene_ontology import OntologyTerm
from genept.nomenclature.reference import Reference
from genept.release.manifest import ReleasedSource

PATH = "archs4/files/human_gene_v2.5.h5"
N_GENES, N_SAMPLES = 200, 400
VALUES = np.random.default_rng(1).poisson(9, (N_GENES, N_SAMPLES)).astype("u4") + 1
REFERENCE = Reference("t", reference_of(*(gene(at, f"G{at}") for at in range(1, N_GENES + 1))))


@pytest.fixture
def server(tmp_path, monkeypatch, object_store):
    """ARCHS4 on loopback, and a product of its own that knows it there."""
    path = write_archs4(tmp_path / "h.h5", VALUES, chunks=(50, 1))
    attributes = [
        f"tissue: {('liver', 'lung')[at // 200]},disease: {('HCC', 'normal')[at % 2]},sex: F"
        for at in range(N_SAMPLES)
    ]
    with h5py.File(path, "a") as file:
        del file["meta/samples/characteristics_ch1"]
        file.create_dataset("meta/samples/characteristics_ch1", data=attributes, dtype=TEXT)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GENEPT_PRODUCT", f"own-{secrets.token_hex(4)}")
    for module in (genept.client.installation, genept.cli.collections.collections_commands):
        monkeypatch.setattr(module, "open_store", lambda *_, **__: object_store)
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: REFERENCE)
    liver = {
        "UBERON:0002107": OntologyTerm("liver", "", ("iecur",), {}),
        "UBERON:0004647": OntologyTerm("liver lobule", "", ("lob",), {"UBERON:0002107": 1}),
        "UBERON:0002048": OntologyTerm("lung", "", (), {}),
    }
    monkeypatch.setattr(Installation, "label_mapper", LabelMapper({"UBERON": liver}))
    with publisher() as server:
        server.files[PATH] = path.read_bytes()
        monkeypatch.setenv("GENEPT_ADDRESSES", json.dumps({"archs4-human": f"{server.url}/{PATH}"}))
        yield server


def table(*lines: str) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
def recount3(server: Publisher, monkeypatch) -> Publisher:
    """Two projects of recount3 beside it: one of livers, one of lungs."""
    addresses = json.loads(os.environ["GENEPT_ADDRESSES"])
    for entry in ("recount3", "recount3-qc", "recount3-samples"):
        addresses[entry] = f"{server.url}/{entry}/{{}}"
    addresses["recount3-projects"] = f"{server.url}/projects"
    monkeypatch.setenv("GENEPT_ADDRESSES", json.dumps(addresses))
    listed = []
    for project, organ in (("SRP000101", "Liver"), ("SRP000102", "Lung")):
        runs = [f"SRR{project[-3:]}{at}" for at in range(3)]
        listed += [f"{at}\t{run}\t{project}\thuman" for at, run in enumerate(runs)]
        rows = [
            f"1\t{run}\t{project}\tSRS{run[3:]}\t{organ} study\ttissue;;{organ.lower()}|sex;;F"
            for run in runs
        ]
        genes = [f"ENSG{at:011d}.1\t{at * 90}\t90\t180" for at in range(1, 61)]
        server.files |= {
            f"recount3/{project}": table("##x", "\t".join(["gene_id", *runs]), *genes),
            f"recount3-qc/{project}": table(
                "rail_id\texternal_id\tstar.average_mapped_length",
                *(f"1\t{run}\t90" for run in runs),
            ),
            f"recount3-samples/{project}": table(
                "rail_id\texternal_id\tstudy\tsample_acc\tstudy_title\tsample_attributes", *rows
            ),
        }
    server.files["projects"] = table("rail_id\texternal_id\tstudy\torganism", *listed)
    return server


def test_projects_of_recount3_become_a_collection(recount3: Publisher) -> None:
    output = run("search", "recount3")
    assert "6 samples of 2 series" in output
    both = ("search", "recount3", "--series", "SRP000101", "--series", "SRP000102")
    assert "3 samples of 1 series" in run(*both, "--tissue", "liver")
    assert "3 samples of 1 series" in run(*both, "--text", "lung study")
    assert "0 samples of 0 series" in run(*both, "--disease", "liver")
    assert "added organs" in run(*both, "--id", "organs", "--yes")
    installation = Installation(Settings())
    (added,) = installation.added
    parts = installation.ingest(added.collection)
    (observations,) = [part for part in parts if part.table == "observations"]
    rows = installation.lake.read(observations).sort("observation_id")
    assert rows["tissue"].to_list() == ["liver"] * 3 + ["lung"] * 3
    assert set(rows["sex"]) == {"F"}
    assert rows["total"].to_list() == pytest.approx([1830, 60, 120] * 2)


def run(*arguments: str, answers: str | None = None) -> str:
    result = CliRunner().invoke(collections, list(arguments), input=answers)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_samples_are_counted_by_series_and_label(server: Publisher) -> None:
    output = run("search", "archs4", "--tissue", "Liver", "--disease", "hcc", "--text", "sample 1")
    numbers = [at for at in range(0, 200, 2) if f"sample {at}".startswith("sample 1")]
    assert f"{len(numbers)} samples of" in output
    assert "likely single cells" in output
    assert "UBERON:0002107 liver" in output
    assert "HCC" in output
    assert "normal" not in output
    n = len(server.seen)
    assert run("search", "archs4", "--series", "GSE3", "--json").startswith("[{")
    assert len(server.seen) == n, "what was read for one search serves the next"


def test_a_term_is_sought_by_all_its_names(server: Publisher) -> None:
    by_name = run("search", "archs4", "--tissue", "liver")
    assert "tissue: also 2 names of terms: iecur, liver lobule" in by_name
    by_id = run("search", "archs4", "--tissue", "UBERON:0002107", "--json")
    assert len(json.loads(by_id)) == 200


def test_samples_that_were_found_become_a_collection(server: Publisher, tmp_path: Path) -> None:
    arguments = ("search", "archs4", "--series", "GSE30", "--series", "GSE31", "--id", "livers")
    assert "nothing was stored" in run(*arguments, answers="\n")
    output = run(*arguments, "--label", "batch=title", "--yes")
    assert "added livers" in output
    installation = Installation(Settings())
    (added,) = installation.added
    numbers = [at for at in range(145, 155) if at % 7 != 6]
    assert added.collection.options["samples"] == [f"GSM{at}" for at in numbers]
    assert added.collection.licence == "CC-BY-4.0"
    before = server.sent
    parts = installation.ingest(added.collection)
    assert 0 < server.sent - before < len(server.files[PATH]) / 4, "the rest stays where it is"
    before = server.sent
    assert "8 observations in 2 groups" in run("validate", "livers")
    assert server.sent == before
    (released,) = (
        ReleasedSource.of(installation.collection_archives, name)
        for name in added.collection.sources
    )
    assert released.sha256 == installation.archives.data_version("archs4-human")
    observations, *_ = [part for part in parts if part.table == "observations"]
    rows = installation.lake.read(observations).sort("observation_id")
    assert set(rows["observation_id"]) == {f"GSM{at}" for at in numbers}
    assert set(rows["tissue"]) == {"liver"}
    assert set(rows["diagnosis"]) == {"HCC", "normal"}
    assert rows["sex"].unique().to_list() == ["F"]
    assert rows["batch"][0] == f"sample {numbers[0]}"
    expected = VALUES[:, numbers].sum(axis=0)
    assert rows["total"].to_list() == pytest.approx(expected.tolist())
    with pytest.raises(SourceError, match="there is a collection 'livers' already"):
        run(*arguments, "--yes")
    assert "removed livers" in run("remove", "livers")


def test_some_samples_are_drawn_whole_series_first(server: Publisher) -> None:
    sought = ("search", "archs4", "--tissue", "liver", "--limit", "23")
    output = run(*sought, "--id", "few-livers", "--yes")
    n = re.findall(r"drawn: 23 of (\d+) samples, whole series first, seed 0", output)
    assert len(n) == 1
    assert int(n[0]) > 100
    assert "to download: about 1.1 MB" in output
    assert "3.3 MB" in output
    (added,) = Installation(Settings()).added
    assert added.collection.title == (
        f"archs4: tissue liver; 23 of {n[0]} samples, whole series first, seed 0"
    )
    drawn = json.loads(run(*sought, "--json"))
    assert [row["sample"] for row in drawn] == added.collection.options["samples"]
    every = json.loads(run("search", "archs4", "--tissue", "liver", "--json"))
    bulk = Counter(row["series"] for row in every if row["single_cell"] <= 0.5)
    of_series = Counter(row["series"] for row in drawn)
    assert of_series.total() == 23
    assert sum(n < bulk[series] for series, n in of_series.items()) <= 1, "one series is cut"
    others = json.loads(run(*sought, "--seed", "1", "--json"))
    assert others != drawn
    assert len(others) == 23
    assert "drawn" not in run(*sought[:-1], "5000")
    Installation(Settings()).archives.fetch("archs4-human")
    output = run(*sought, "--id", "more-livers", answers="n\n")
    assert "to download: nothing, the file is here" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("recount3", "--limit", "3"), "--limit: a collection of recount3 has all samples"),
        (("archs5",), "'archs5' cannot be searched: expected archs4 or recount3"),
        (("recount3", "--tissue", "liver"), "list of projects has accessions only"),
        (("recount3", "--series", "GSE1"), "'GSE1' is no project of SRA"),
        (("archs4",), "say what is sought"),
        (("archs4", "--series", "SRP1"), "'SRP1' is no GEO series"),
        (("archs4", "--text", "x", "--label", "tissue"), "expected LABEL=FIELD"),
        (("archs4", "--text", "no such", "--id", "x", "--yes"), "0 bulk samples were found"),
        (("archs4", "--series", "GSE3", "--id", "X", "--yes"), "collection 'X': id: "),
        (
            ("archs4", "--series", "GSE3", "--id", "x", "--label", "nix=title", "--yes"),
            "collection 'x': .*nix",
        ),
    ],
)
def test_what_cannot_be_searched_is_said(server: Publisher, arguments, says) -> None:
    with pytest.raises(SourceError, match=says):
        run("search", *arguments)
