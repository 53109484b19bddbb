"""The whole graph on real archives, in a real Dagster instance, over a real object store."""

import dagster as dg
import polars as pl
import pytest
from installations import Installation

from genept.client import load_table, open_releases
from genept.report import headline_results, snippets
from genept.tables import TABLES
from orchestration.definitions import build_defs

pytestmark = pytest.mark.index


def materialise(
    installation: Installation, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    job = build_defs(installation.settings).resolve_job_def("release")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def keys_in(installation: Installation) -> set[str]:
    store = open_releases(installation.settings).store
    return {info.key for info in store.list("genept/")}


def test_a_run_publishes_and_a_second_run_writes_nothing(installation: Installation) -> None:
    with dg.instance_for_test() as instance:
        assert materialise(installation, instance).success
        manifest = open_releases(installation.settings).current()
        before = keys_in(installation)
        again = materialise(installation, instance)

        assert set(manifest.tables) == set(TABLES)
        assert not manifest.complete
        assert manifest.limits["max_genes"] == 6000
        assert all(one.passed for one in manifest.evidence.values())
        pages = {f"checks/{name}.html" for name in (*TABLES, "index")}
        pages |= {f"nomenclature/{name}.md" for name in ("pbmc-hao", "prostate")}
        assert set(manifest.audit) == pages
        assert again.success
        assert keys_in(installation) == before
        event = instance.get_latest_materialization_event(dg.AssetKey("published_release"))
        assert event is not None
        assert event.asset_materialization.metadata["is_new"].value is False

        _what_an_analyst_reads(installation)


def _what_an_analyst_reads(installation: Installation) -> None:
    settings = installation.settings
    cells = load_table("cell_embeddings", settings=settings, space="lsa-384/name-go").collect()
    assert cells.height == 1336
    norms = cells["embedding"].arr.to_list().list.eval(pl.element() ** 2).list.sum()
    assert norms.to_numpy() == pytest.approx(1, abs=1e-3)
    assert load_table("sample_embeddings", settings=settings).collect().height == 28 * 2
    mapped = load_table("gene_mapping", settings=settings, collection_id="pbmc-hao").collect()
    assert mapped.height == 11_180
    assert mapped["expression_share"].sum() == pytest.approx(1)

    results = headline_results(settings)
    of_cells = results.filter(pl.col("cohort") == "pbmc-hao")
    scores = dict(of_cells.select("representation", "value").iter_rows())
    assert scores["lsa-384/name-go:genept-w"] > 3 * scores["majority-class"]
    assert {"expression-pca-50", "random-384/name-go:genept-w"} <= set(scores)

    pasted = [line for line in snippets(open_releases(settings)).splitlines() if "genept" in line]
    assert len(pasted) == 4


def test_a_failing_check_keeps_the_pointer_where_it_was(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import validation.suites

    strict = TABLES["observations"].minimum_rows
    monkeypatch.setattr(validation.suites, "NORM_TOLERANCE", -1.0)
    with dg.instance_for_test() as instance:
        result = materialise(installation, instance)
        assert strict == 1
        assert not result.success
        failed = {event.step_key for event in result.get_step_failure_events()}
        assert "gene_embeddings_keeps_its_declaration" in failed
        assert instance.get_latest_materialization_event(dg.AssetKey("cell_embeddings")) is None
    assert open_releases(installation.settings).current_id() is None
