"""Figures of the leaderboard: made of published rows, each with a description."""

import polars as pl
import pytest
from planted import CountingEmbedder
from planted_scores import TASKS, comparisons, released, results

from genept.benchmarks.reports.leaderboard_figures import (
    cells_in_words,
    deciding_scores,
    report_figures,
)
from genept.benchmarks.vector_costs import per_point, space_costs
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin
from genept.text.embedders import space_of
from genept.text.recipes import load_recipes


def figures_of(tables):
    return list(report_figures(lambda name: tables.get(name, pl.DataFrame()), load_recipes()))


def test_every_figure_has_a_picture_and_a_description():
    figures = {figure.name: figure for figure in figures_of(released())}
    assert list(figures) == [
        "spaces-by-tasks", "critical-difference", "description-ablation", "cost-per-point",
        "confusion-gene-type-gene-types-lsa-384-x", "programs-pbmc-minilm-l6-v2-name",
    ]  # fmt: skip
    assert all(
        figure.png.startswith(b"\x89PNG") and len(figure.png) > 5_000 for figure in figures.values()
    )
    words = figures["spaces-by-tasks"].words
    assert "minilm-l6-v2/name-ncbi on tf-range (tf-range), below lsa-384/name-ncbi" in words
    assert "name-ncbi-go on" not in words
    differences = figures["critical-difference"].words
    assert "Separable: minilm-l6-v2/name-ncbi and minilm-l6-v2/name-ncbi-go." in differences
    assert "86.7% right; most often wrong: a taken for b" in figures[list(figures)[4]].words
    assert "B cell activation (G1) in T" in figures["programs-pbmc-minilm-l6-v2-name"].words
    assert "30.0 points on 4 tasks for 3,000,000 tokens" in figures["cost-per-point"].words


def test_programs_are_shown_of_six_collections_in_one_space_each():
    tables = released()
    active = tables["program_activity"]
    collections = [f"c{number}" for number in range(8)]
    tables["program_activity"] = pl.concat(
        active.with_columns(collection_id=pl.lit(collection), space=pl.lit(space))
        for collection in collections
        for space in ("minilm-l6-v2/name", "lsa-384/name")
    )
    names = [figure.name for figure in figures_of(tables) if "programs-" in figure.name]
    assert names == [f"programs-{collection}-minilm-l6-v2-name" for collection in collections[:6]]


def test_the_same_rows_give_the_same_bytes():
    first, again = figures_of(released()), figures_of(released())
    assert [figure.png for figure in first] == [figure.png for figure in again]


def test_models_alone_are_shown_when_no_benchmark_was_run():
    """As in a release of bulk samples in a random space."""
    shared = {"model": "diagnosis-prostate", "model_version": "v1", "split": "test",
              "cohort": "prostate", "metric": "balanced_accuracy", "n": 9}  # fmt: skip
    rows = [
        shared | {"representation": name, "value": value, "ci_low": value - 0.1,
                  "ci_high": value + 0.1, "is_control": name == "majority-class"}
        for name, value in (("random-384:genept-w", 0.8), ("majority-class", 0.5))
    ]  # fmt: skip
    assert [figure.name for figure in figures_of({"model_evaluations": pl.DataFrame(rows)})] == [
        "spaces-by-tasks"
    ]


@pytest.mark.parametrize("missing", list(released()))
def test_tables_that_a_release_lacks_are_not_shown(missing):
    tables = released()
    del tables[missing]
    assert len(figures_of(tables)) < 6 or missing == "program_terms"


def test_a_release_without_results_has_no_figures():
    assert figures_of({}) == []
    assert cells_in_words(pl.DataFrame()) == []


def test_differences_between_cells_are_described_without_permuted_labels():
    rows = comparisons().with_columns(task=pl.lit("cell-type-annotation/pbmc"))
    dealt = rows.with_columns(other=pl.lit("minilm-l6-v2/name-ncbi@permuted-labels"))
    sentences = cells_in_words(pl.concat([rows.head(1), dealt.head(1), comparisons().head(1)]))
    assert len(sentences) == 1
    assert "is ahead of minilm-l6-v2/name-ncbi by 0.100" in sentences[0]


def scores_of_results():
    tables = {"benchmark_results": results()}
    return deciding_scores(lambda name: tables.get(name, pl.DataFrame()))


def descriptions(lake: Lake):
    rows = pl.DataFrame(
        {
            "recipe": "name", "ensembl_gene_id": [f"ENSG{number:011}" for number in range(400)],
            "symbol": "S", "text": [f"kinase of part {n} and {n % 7}" for n in range(400)],
            "text_sha256": "0" * 64, "n_tokens": 5, "parts": [["name"]] * 400,
        }
    )  # fmt: skip
    parts = [NewPart("gene_descriptions", rows, ("name",))]
    (part,) = lake.build("test/texts", Origin(code=()), lambda: parts)
    return part


def test_costs_are_measured_once_and_not_again(lake: Lake):
    embedder = CountingEmbedder()
    space = space_of("minilm-l6-v2/name")
    part = space_costs(lake, space, descriptions(lake), lambda: embedder)
    rows = dict(lake.read(part).select("metric", "value").iter_rows())
    assert rows["tokens"] == 2000
    assert rows["dollars"] == 0
    assert rows["seconds"] >= 0
    assert len(embedder.embedded_texts) == 128
    assert space_costs(lake, space, descriptions(lake), lambda: embedder) == part
    assert len(embedder.embedded_texts) == 128
    without = per_point(lake.read(part), scores_of_results())
    assert without.is_empty(), "a space without a score has no points"


def test_a_point_is_a_hundredth_above_random_vectors():
    costs = per_point(
        results(), deciding_scores(lambda name: results() if "results" in name else pl.DataFrame())
    )
    (row,) = costs.rows(named=True)
    assert row["points"] == pytest.approx(30)
    assert row["seconds_per_point"] == pytest.approx(30)
    assert row["n_tasks"] == len(TASKS)


def test_the_release_page_has_the_pictures_inline_and_escapes_their_texts(monkeypatch):
    from types import SimpleNamespace

    from genept.client.pages import site_pages as page

    tables = released()
    names = tables["benchmark_results"]["representation"].replace("lsa-384/name-ncbi", "<lsa>/x")
    tables["benchmark_results"] = tables["benchmark_results"].with_columns(representation=names)
    monkeypatch.setattr(
        page, "read_table", lambda files, manifest, name: tables.get(name, pl.DataFrame())
    )
    html = str(page.leaderboard(None, SimpleNamespace(tables=tables)))
    assert html.count("<figure>") == html.count("data:image/png;base64,iVBOR") == 6
    assert "below minilm" in html or "No score is below a control" in html
    assert "<lsa>" not in html
