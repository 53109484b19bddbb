"""Tasks on a publisher's folds: planted members are found, and no held-out gene is learned from."""

import gzip
import hashlib
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from declared_rows import store_table
from gene_spaces import GENES as SPACE_GENES
from gene_spaces import space
from scipy.sparse import csr_array

from genept.benchmarks import label_tables
from genept.benchmarks.fitted_heads import scaled
from genept.benchmarks.gene_tasks import PropertyTask
from genept.benchmarks.label_tables import build_labels, fates, fold_properties
from genept.benchmarks.resampling import is_common_control, resampled
from genept.benchmarks.runs.leaderboard import run_tasks
from genept.benchmarks.task_base import GeneVectors, Labels
from genept.benchmarks.task_registry import TASKS
from genept.benchmarks.task_scores import controls_of
from genept.benchmarks.terms import folded_terms, term_tasks
from genept.benchmarks.terms.folded_terms import chosen_setting
from genept.benchmarks.terms.term_tasks import FoldsTask
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.available import AvailableFile
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.download.streams import open_bytes
from genept.datasources.fold_labels import FOLD_SOURCES
from genept.nomenclature.mapping import Nomenclature
from genept.release.staging import passed_on
from genept.schema.tables import TABLES
from genept.storage.provenance import NewPart, Origin
from genept.text.knowledge import KnowledgeSources

TASK = FoldsTask(id="f", dataset="folds", title="f")
SPLITS = ("cv_fold1", "cv_fold2", "cv_fold3", "holdout")
N = 160
GENES = [f"ENSG{number:011}" for number in range(N)]
RNG = np.random.default_rng(0)
MEMBER = {"GO:1": RNG.random(N) < 0.4, "GO:2": RNG.random(N) < 0.4}
NOISE = RNG.normal(size=(N, 16))


def rows(member=MEMBER, genes=GENES):
    frames = [
        pl.DataFrame(
            {
                "task": "f",
                "position": np.arange(len(genes)) + number * len(genes),
                "input_id": genes,
                "ensembl_gene_id": genes,
                "outcome": "entrez_id",
                "label": term,
                "split": [SPLITS[(row + number) % 4] for row in range(len(genes))],
                "is_member": is_member,
                "fate": "scored",
            }
        )
        for number, (term, is_member) in enumerate(member.items())
    ]
    return pl.concat(frames)


def vectors(strength=2.0):
    matrix = NOISE.copy()
    for column, is_member in enumerate(MEMBER.values()):
        matrix[:, column] += strength * is_member
    return GeneVectors("planted/text", tuple(GENES), matrix.astype(np.float32))


def labels(properties):
    return Labels(properties, pl.DataFrame(schema={"task": pl.String}))


def areas(known, given):
    of_terms, values = TASK.areas(known, given)
    predicted = TASK.predict(known, given)["score"]
    assert predicted.mean() == pytest.approx(np.mean(list(of_terms.values())))
    assert predicted.to_list() == values[np.isfinite(values)].tolist()
    return of_terms


def test_planted_members_are_found_and_controls_fall_to_chance():
    known = TASK.rows(labels(rows()))
    score = resampled(TASK.predict(known, vectors()), "mean_auroc").value
    assert score > 0.85
    mixed = [TASK.predict(known, vectors().shuffled(draw), draw=draw) for draw in range(5)]
    dealt = [TASK.predict(TASK.permuted(known, draw), vectors(), draw=draw) for draw in range(5)]
    for control in (mixed, dealt):
        assert 0.35 < pl.concat(control)["score"].mean() < 0.65


def test_permuted_labels_keep_the_members_of_every_split():
    counted = [
        part.group_by("label", "split").agg(pl.col("is_member").sum()).sort("label", "split")
        for part in (rows(), TASK.permuted(rows(), 3))
    ]
    assert counted[0].equals(counted[1])
    assert not TASK.permuted(rows(), 3).equals(rows())


def test_no_head_learns_from_a_gene_that_it_scores_or_that_is_held_out(monkeypatch):
    fitted = []
    real = folded_terms.logistic_scores

    def watched(x, is_positive, test, strengths):
        fitted.append(({int(row[-1]) for row in x}, {int(row[-1]) for row in test}, strengths))
        return real(x, is_positive, test, strengths)

    monkeypatch.setattr(folded_terms, "logistic_scores", watched)
    # The last column is the number of the gene: what is seen of a matrix says of which genes.
    monkeypatch.setattr(folded_terms, "seen_columns", lambda training, test: (training, test))
    monkeypatch.setattr(term_tasks, "scaled", lambda matrix, _: matrix)
    monkeypatch.setattr(folded_terms, "scaled", lambda matrix, _: matrix)
    numbered = vectors().matrix.copy()
    numbered[:, -1] = range(N)
    given = GeneVectors("planted/text", tuple(GENES), numbered)
    TASK.predict(rows({"GO:1": MEMBER["GO:1"]}), given)
    held_out = {row for row in range(N) if row % 4 == 3}
    chosen_on, last = fitted[:-1], fitted[-1]
    assert len(chosen_on) == 2 * 3, "two scalings, three folds"
    for genes, scored, strengths in chosen_on:
        assert not genes & held_out
        assert not scored & (held_out | genes)
        assert strengths == folded_terms.STRENGTHS
        assert len(genes) == N / 2, "two of three training folds"
    assert last[0] == set(range(N)) - held_out
    assert last[1] == held_out
    fitted.clear()
    TASK.predict(rows({"GO:1": MEMBER["GO:1"]}), given.shuffled(), draw=0)
    assert [strengths for *_, strengths in fitted] == [(folded_terms.OF_CONTROLS.c,)]


def test_labels_of_held_out_genes_do_not_choose_the_setting():
    known = rows()
    turned = known.with_columns(
        is_member=pl.when(split="holdout").then(~pl.col("is_member")).otherwise("is_member")
    )
    one, other = (areas(given, vectors()) for given in (known, turned))
    assert {term: 1 - area for term, area in other.items()} == pytest.approx(one)


def test_a_gene_twice_in_a_term_is_refused():
    leak = pl.concat([rows(), rows().head(1).with_columns(split=pl.lit("holdout"))])
    with pytest.raises(ValueError, match=r"ENSG00000000000 is in more than one row of term GO:1"):
        TASK.predict(leak, vectors())


def test_the_order_of_rows_and_genes_changes_nothing():
    order = np.random.default_rng(1).permutation(N).tolist()
    given = vectors()
    turned = GeneVectors(given.name, tuple(GENES[at] for at in order), given.matrix[order])
    shuffled = rows().sample(fraction=1, shuffle=True, seed=1)
    assert TASK.predict(rows(), given).equals(TASK.predict(shuffled, turned))
    assert TASK.permuted(rows(), 1).equals(TASK.permuted(shuffled, 1))


def test_sparse_and_dense_vectors_of_one_matrix_score_alike():
    matrix = vectors().matrix
    matrix = np.where(np.abs(matrix) > 0.8, matrix, 0).astype(np.float64)
    dense, sparse = (
        GeneVectors("planted/text", tuple(GENES), of) for of in (matrix, csr_array(matrix))
    )
    assert sparse.is_sparse
    one, other = (areas(rows(), given) for given in (dense, sparse))
    assert one == pytest.approx(other, abs=0.005)
    property_task = PropertyTask(id="p", dataset="d", title="p", positive="yes", published=False)
    named = rows({"GO:1": MEMBER["GO:1"]}).with_columns(
        label=pl.when("is_member").then(pl.lit("yes")).otherwise(pl.lit("no"))
    )
    heads = [property_task.predict(named, given) for given in (dense, sparse)]
    of_dense, of_sparse = (
        resampled(part.filter(model="logistic-regression"), "auroc").value for part in heads
    )
    assert of_dense == pytest.approx(of_sparse, abs=0.002)
    assert set(heads[1]["model"]) == {"logistic-regression"}
    with pytest.raises(TypeError, match="planted/text is sparse"):
        sparse.of(GENES[:1])


def test_c_means_the_same_for_both_scalings_and_any_number_of_columns():
    for matrix in (vectors().matrix, csr_array(np.repeat(vectors().matrix, 3, axis=1))):
        dense = scaled(matrix, "standardised")
        spread = dense if isinstance(dense, np.ndarray) else dense.toarray()
        assert (spread - spread.mean(axis=0)).__pow__(2).sum(axis=1).mean() == pytest.approx(1)
        unit = scaled(matrix, "unit rows")
        assert (unit**2).sum(axis=1) == pytest.approx(np.ones(N))


def test_a_representation_whose_scale_hides_what_it_knows_is_standardised():
    given = vectors(3.0).matrix.copy()
    given[:, 2:] *= 40
    terms = folded_terms.folded_terms(rows(), GENES)
    assert chosen_setting(terms, given).scaling == "standardised"


def test_terms_without_members_in_a_split_are_left_out():
    none_held_out = MEMBER["GO:1"] & (np.arange(N) % 4 != 3)
    assert set(areas(rows({"GO:0": none_held_out} | MEMBER), vectors())) == {"GO:1", "GO:2"}
    assert TASK.unfit(rows()) is None
    few = TASK.unfit(rows({"GO:0": none_held_out} | {"GO:2": MEMBER["GO:2"]}))
    assert few == "1 terms have members and others in every split"


NAMES = Nomenclature.of(
    pl.DataFrame(
        {
            "hgnc_id": ["HGNC:1", "HGNC:2"],
            "symbol": ["TP53", "MYC"],
            "ensembl_gene_id": ["ENSG00000000001", "ENSG00000000002"],
            "entrez_id": ["7157", "4609"],
            "aliases": [[], ["99"]],
            "previous_symbols": [[], []],
        }
    )
)


def test_entrez_ids_become_genes_and_a_gene_by_two_names_is_scored_once(tmp_path):
    path = tmp_path / "folds.tsv"
    path.write_text(
        "term\tsplit\tentrez\tlabel\nGO:1\tcv_fold1\t7157\t1\nGO:1\tcv_fold2\t4609\t1\n"
        "GO:1\tholdout\t99\t1\nGO:1\tholdout\t5\t0\nGO:2\tholdout\t4609\t0\nGO:2\tcv_fold1\t99\t1\n"
    )
    opener = partial(open_bytes, path, None, path.name)
    file = AvailableFile("go-term-folds", path, "0" * 64, "go-term-folds", opener)
    properties = fold_properties(file, NAMES)
    assert properties.columns == [column.name for column in TABLES["gene_properties"].columns]
    assert properties["fate"].to_list() == [
        "scored", "scored", "duplicate", "without_gene", "conflicting", "conflicting",
    ]  # fmt: skip
    assert properties["position"].to_list() == [*range(6)]
    assert properties["ensembl_gene_id"].to_list()[1:4] == [*["ENSG00000000002"] * 2, None]
    assert fates(properties)["go-terms-folds/without_gene"] == 1
    task = replace(TASK, id="go-terms-folds")
    assert task.rows(labels(properties)).height == 2


def test_labels_that_may_not_be_passed_on_are_a_part_of_their_own(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(label_tables, "MEMBERSHIPS", {})
    catalogue, mirror = load_catalogue(), tmp_path / "mirror"
    body = gzip.compress(b"term\tsplit\tentrez\tlabel\nT:1\tholdout\t7157\t1\n", mtime=0)
    pinned = {"pinned_sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    small = {id_: catalogue.source(id_).model_copy(update=pinned) for id_ in FOLD_SOURCES}
    for source in small.values():
        path = mirror / source.mirror
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    sources = catalogue.model_copy(update={"sources": catalogue.sources | small})
    genes = store_table(lake, "genes").part()

    def parts_of(*mirrors):
        locations = SourceLocations(mirrors)
        folder = tmp_path / f"cache-{len(mirrors)}"
        knowledge = KnowledgeSources(Archives(sources, folder, locations=locations))
        return build_labels(lake, knowledge, genes, lambda: NAMES)

    parts = parts_of(str(mirror))
    stored = lake.assemble("gene_properties", parts)
    assert lake.read(stored)["task"].to_list() == ["go-terms-folds", "omim-terms-folds"]
    tables = {name: lake.assemble(name, []) for name in ("collections", "embedding_origins")}
    tables["gene_properties"] = stored
    kept, left_out = passed_on(lake, tables, "leave_out")
    assert lake.read(kept["gene_properties"])["task"].to_list() == ["go-terms-folds"]
    assert left_out == ("omim-term-folds",)
    without = lake.assemble("gene_properties", parts_of())
    assert without.rows == 0


def described(lake, recipe, genes):
    words = ["kinase membrane", "ribosome nucleus"]
    texts = [f"{words[int(MEMBER['GO:1'][row])]} gene{row}" for row in range(len(genes))]
    columns = {"recipe": recipe, "ensembl_gene_id": genes, "symbol": genes, "text": texts}
    table = pl.DataFrame(columns).with_columns(
        text_sha256=pl.lit("0" * 64),
        n_tokens=pl.lit(3, pl.Int64),
        parts=pl.lit([], pl.List(pl.String)),
    )
    part = NewPart("gene_descriptions", table, (recipe,))
    origin = Origin(code=(), settings={"recipe": recipe})
    (stored,) = lake.build(f"test/{recipe}", origin, lambda: [part])
    return stored


def test_term_weights_stand_beside_the_spaces_of_their_recipe_as_a_control(lake):
    genes = SPACE_GENES
    known = rows({term: member[: len(genes)] for term, member in MEMBER.items()}, genes)
    spaces = [
        replace(space(lake, id_, 1.0, tells=tells), texts=described(lake, id_.split("/")[1], genes))
        for id_, tells in (("good/text", ()), ("leaky/go", ("go",)))
    ]
    task = replace(TASK, stated_by=("go",))
    parts, remarks = run_tasks(lake, labels(known), spaces, tasks={"f": task})
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    is_control = dict(results.select("representation", "is_control").iter_rows())
    assert is_control == {
        "good/text": False, "good/text@shuffled": True, "good/text@permuted-labels": True,
        "late-fusion/all": False, "late-fusion/all@shuffled": True,
        "late-fusion/all@permuted-labels": True, "tf-idf/text": True, "random-384": True,
    }  # fmt: skip
    assert remarks["f/leaky/go"] == "it states the answer: go"
    value = dict(results.select("representation", "value").iter_rows())
    assert value["tf-idf/text"] > 0.7 > value["random-384"], "GO:1 is in the texts"
    assert value["late-fusion/all"] > 0.7 > value["late-fusion/all@shuffled"]
    assert "tf-idf/text" in controls_of("good/text", is_control)
    assert not is_common_control("good/other", "tf-idf/text")
    assert "tf-idf/text" not in controls_of("good/other", is_control | {"good/other": False})


def test_without_the_source_a_task_names_the_command(lake):
    nothing = rows().clear()
    tasks = {id_: TASKS[id_] for id_ in ("go-terms-folds", "omim-terms-folds")}
    _, remarks = run_tasks(lake, labels(nothing), [], tasks=tasks)
    for id_, task in tasks.items():
        assert task.dataset in remarks[id_]
        assert f"genept bench run --task {id_}" in remarks[id_]
