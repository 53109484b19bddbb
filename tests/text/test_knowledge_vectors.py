"""Spaces beyond texts: a planted network, planted annotations, and what is fused of them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import gene, made_archives, reference_of

from genept.benchmarks.task_registry import TASKS
from genept.client.platform import Platform
from genept.common.errors import SourceError
from genept.common.settings import Settings
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.interaction_networks import (
    NETWORKS,
    NetworkFiles,
    network_files,
    read_network,
)
from genept.embeddings.expression import embedding_matrix
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference, starter_reference
from genept.storage.lake import Lake
from genept.text.declared_spaces import declared_spaces
from genept.text.embedders import EmbeddingError, Space, space_of, validate_vectors
from genept.text.fusion import declared_fusion, fused
from genept.text.knowledge import KnowledgeSources
from genept.text.knowledge_vectors import (
    GeneFacts,
    embed_facts,
    embed_fused,
    link_fates,
    mapped_links,
)
from genept.text.local.baselines import shuffled
from genept.text.spectral import SMALLEST_COMPONENT, co_annotation_vectors, spectral_vectors

SIZE = 15
N = 2 * SIZE
GENES = [f"ENSG{number:011d}" for number in range(1, N + 1)]
REFERENCE = reference_of(
    *(gene(number, f"G{number}") for number in range(1, N + 1)),
    gene(N + 1, "ALONE"),
    gene(N + 2, "PAIR1"),
    gene(N + 3, "PAIR2", previous_symbols=["OLDPAIR2"]),
)


def two_communities(seed: int = 0) -> pl.DataFrame:
    """Links within each half of the genes, and three weak ones between the halves."""
    rng = np.random.default_rng(seed)
    rows = [
        (GENES[a], GENES[b], float(rng.uniform(0.5, 1)))
        for half in (range(SIZE), range(SIZE, N))
        for a in half
        for b in half
        if a < b and rng.random() < 0.6
    ]
    rows += [(GENES[at], GENES[SIZE + at], 0.1) for at in range(3)]
    return pl.DataFrame(rows, ["gene_a", "gene_b", "weight"], orient="row")


def mean_cosines(vectors: np.ndarray) -> tuple[float, float]:
    """Mean cosine within, and between, the two halves of the genes; of centred vectors."""
    centred = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines, half = centred @ centred.T, np.arange(len(vectors)) < SIZE
    alike = half[:, None] == half
    return float(cosines[alike].mean()), float(cosines[~alike].mean())


def test_two_communities_are_apart() -> None:
    genes, vectors = spectral_vectors(two_communities(), 4)
    assert genes == GENES
    validate_vectors(vectors, N, 4)
    within, between = mean_cosines(vectors)
    assert within > 0.4
    assert between < -0.4
    noise = two_communities().with_columns(pl.col("gene_b").shuffle(seed=1))
    noise = noise.filter(pl.col("gene_a") != pl.col("gene_b"))
    noise = noise.with_columns(
        pl.min_horizontal("gene_a", "gene_b"), pl.max_horizontal("gene_a", "gene_b").alias("gene_c")
    ).select("gene_a", pl.col("gene_c").alias("gene_b"), "weight")
    _, of_noise = spectral_vectors(noise.unique(["gene_a", "gene_b"]), 4)
    assert np.subtract(*mean_cosines(of_noise)) < 0.4, "planted links alone set them apart"


def cosines(vectors: np.ndarray) -> np.ndarray:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(units @ units.T)


def test_vectors_are_eigenvectors_scaled_by_their_eigenvalues() -> None:
    adjacency = np.zeros((N, N))
    for a, b, weight in two_communities().iter_rows():
        adjacency[GENES.index(a), GENES.index(b)] = adjacency[GENES.index(b), GENES.index(a)] = (
            weight
        )
    degree = adjacency.sum(axis=1)
    values, eigenvectors = np.linalg.eigh(adjacency / np.sqrt(np.outer(degree, degree)))
    _, vectors = spectral_vectors(two_communities(), 5)
    np.testing.assert_allclose(
        cosines(vectors), cosines(eigenvectors[:, -5:] * values[-5:]), atol=1e-5
    )


def test_the_order_and_direction_of_links_change_nothing() -> None:
    links = two_communities()
    turned = links.select(gene_a="gene_b", gene_b="gene_a", weight="weight")
    mixed = pl.concat([links[::2], turned[1::2]]).sample(fraction=1, shuffle=True, seed=3)
    genes, vectors = spectral_vectors(links, 4)
    again, of_mixed = spectral_vectors(mixed, 4)
    assert genes == again
    np.testing.assert_array_equal(vectors, of_mixed)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_genes_changes_only_rounding(seed: int) -> None:
    """Eigenvectors of renamed genes come with other signs, which are turned."""
    links = two_communities(seed)
    given = dict(zip(GENES, np.random.default_rng(seed).permutation(GENES), strict=True))
    renamed = links.with_columns(pl.col("gene_a", "gene_b").replace(given))
    genes, vectors = spectral_vectors(links, 4)
    others, of_renamed = spectral_vectors(renamed, 4)
    rows = [others.index(given[name]) for name in genes]
    np.testing.assert_allclose(vectors, of_renamed[rows], atol=1e-5)


def test_genes_of_tiny_components_have_no_vector() -> None:
    chain = [f"ENSG{number:011d}" for number in range(100, 100 + SMALLEST_COMPONENT - 1)]
    further = pl.DataFrame({"gene_a": chain[:-1], "gene_b": chain[1:], "weight": 1.0})
    genes, vectors = spectral_vectors(pl.concat([two_communities(), further]), 4)
    assert genes == GENES
    np.testing.assert_array_equal(vectors, spectral_vectors(two_communities(), 4)[1])


def test_too_small_a_network_is_refused() -> None:
    with pytest.raises(EmbeddingError, match="has 30 genes in components of 10 and more: too few"):
        spectral_vectors(two_communities(), 29)


def names_of(links: pl.DataFrame) -> pl.DataFrame:
    symbols = {id_: f"G{number}" for number, id_ in enumerate(GENES, 1)}
    return links.select(
        pl.col("gene_a").replace(symbols).alias("input_a"),
        pl.col("gene_b").replace(symbols).alias("input_b"),
        "weight",
    )


def test_every_published_link_has_a_fate() -> None:
    links = pl.DataFrame(
        [
            ("G1", "G2", 0.5),
            ("G2", "G1", 0.9),  # the same two genes, with more confidence
            ("G1", "G2", 0.9),
            ("PAIR1", "OLDPAIR2", 0.3),
            ("G3", "G3", 0.8),
            ("PAIR2", "OLDPAIR2", 0.8),  # two names of one gene
            ("G1", "NOSUCHGENE", 1.0),
            ("NOSUCHGENE", "NOSUCHGENE", 1.0),
        ],
        ["input_a", "input_b", "weight"],
        orient="row",
    )
    rows = mapped_links(links, Nomenclature.of(REFERENCE))
    assert rows["fate"].to_list() == [
        *("duplicate", "used", "duplicate", "used", "self_pair", "self_pair"),
        *("without_gene", "without_gene"),
    ]
    assert rows["position"].to_list() == list(range(8))
    assert rows["gene_b"][3] == f"ENSG{N + 3:011d}"


def csv_of(links: pl.DataFrame) -> bytes:
    named = links.rename({"input_a": "g1_symbol", "input_b": "g2_symbol", "weight": "conn"})
    return named.with_row_index("").write_csv().encode()


def facts_of(archives: Archives, version: str = "reference-1") -> GeneFacts:
    return GeneFacts(KnowledgeSources(archives), lambda: Reference("hgnc-test", REFERENCE), version)


@pytest.fixture
def facts(tmp_path: Path) -> GeneFacts:
    """An installation whose archive holds the two communities, a pair and an unknown name."""
    further = pl.DataFrame(
        [("PAIR1", "OLDPAIR2", 1.0), ("G1", "NOSUCHGENE", 0.4), ("G2", "G2", 0.4)],
        ["input_a", "input_b", "weight"],
        orient="row",
    )
    links = pl.concat([names_of(two_communities()), further])
    member = {"scNET/Data/format_h_sapiens.csv": csv_of(links)}
    return facts_of(made_archives(tmp_path / "archives", scnet=member))


def test_a_network_space_is_a_part_of_gene_embeddings(lake: Lake, facts: GeneFacts) -> None:
    space = space_of("network-4/interactions")
    assert facts.unavailable(space) is None
    part = embed_facts(lake, space, facts)
    assert (part.table, part.partition, part.dimension) == ("gene_embeddings", (space.id,), 4)
    rows = lake.read_arrow(part)
    assert rows["ensembl_gene_id"].to_pylist() == GENES
    assert rows["symbol"].to_pylist() == [f"G{number}" for number in range(1, N + 1)]
    assert rows["text_sha256"].null_count == N
    np.testing.assert_array_equal(embedding_matrix(rows), spectral_vectors(two_communities(), 4)[1])
    assert link_fates(lake, "interactions", facts) == {
        "self_pair": 1, "used": two_communities().height + 1, "without_gene": 1,
        "names without gene": 1,
    }  # fmt: skip


def test_its_shuffled_variant_has_the_same_vectors_of_other_genes(
    lake: Lake, facts: GeneFacts
) -> None:
    space, control = (space_of(f"network-4/interactions{of}") for of in ("", "@shuffled"))
    assert control.is_control
    own, others = (lake.read_arrow(embed_facts(lake, of, facts)) for of in (space, control))
    genes = own["ensembl_gene_id"].to_pylist()
    assert others["ensembl_gene_id"].to_pylist() == genes
    np.testing.assert_array_equal(embedding_matrix(others), embedding_matrix(own)[shuffled(genes)])


def test_a_network_is_read_once_and_embedded_anew_with_the_reference(
    lake: Lake, facts: GeneFacts
) -> None:
    def refuse() -> Reference:
        raise AssertionError("nothing is to be made")

    space = space_of("network-4/interactions")
    part = embed_facts(lake, space, facts)
    archives = facts.sources.archives
    remembered = GeneFacts(KnowledgeSources(archives), refuse, "reference-1")
    assert embed_facts(lake, space, remembered) == part
    with pytest.raises(AssertionError, match="nothing is to be made"):
        embed_facts(lake, space, GeneFacts(KnowledgeSources(archives), refuse, "reference-2"))


def test_what_a_space_may_be_made_of_is_named(tmp_path: Path) -> None:
    facts = facts_of(Archives(made_archives(tmp_path / "archives").catalogue, tmp_path / "none"))
    reasons = {
        "network-8/regulation": r"no space .*; there is network-8/interactions, network-8/string",
        "network-8/string": r"fetch string-links string-proteins`, or name a mirror",
        "go-8/name": r"there is go-8/co-annotation",
    }
    for id_, reason in reasons.items():
        why = facts.unavailable(space_of(id_))
        assert why is not None
        assert re.search(reason, why), why
    assert facts.unavailable(space_of("go-8/co-annotation")) is None


HEADER = "protein1 protein2 combined_score\n"
PROTEINS = (
    "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
    '9606.P1\tG1\t10\tsays "so\n9606.P2\tG2\t10\t-\n9606.P3\tG3\t10\t-\n'
)


def string_files(folder: Path, links: str, proteins: str = PROTEINS) -> NetworkFiles:
    def opener(name: str, text: str):
        path = folder / name
        path.write_bytes(gzip.compress(text.encode()))
        return lambda: gzip.open(path)

    named = zip(NETWORKS["string"], (links, proteins), strict=True)
    return NetworkFiles({id_: opener(id_, text) for id_, text in named}, {})


def test_links_of_string_are_read_by_gene_name(tmp_path: Path) -> None:
    rows = (
        "9606.P1 9606.P2 900\n9606.P2 9606.P1 900\n9606.P1 9606.P3 399\n9606.P3 9606.P1 399\n"
        "9606.P3 9606.P2 400\n9606.P2 9606.P3 400\n"
    )
    links = read_network("string", string_files(tmp_path, HEADER + rows))
    assert sorted(links.rows()) == [
        ("G1", "G2", 0.9), ("G2", "G1", 0.9), ("G2", "G3", 0.4), ("G3", "G2", 0.4)
    ]  # fmt: skip
    assert read_network("string", string_files(tmp_path, HEADER)).height == 0


def test_string_of_a_mirror_is_a_network_like_any_other(lake: Lake, tmp_path: Path) -> None:
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    (mirror / "string").mkdir(parents=True)
    both = pl.concat([names_of(two_communities()),
                      names_of(two_communities()).select(input_a="input_b", input_b="input_a",
                                                         weight="weight")])  # fmt: skip
    rows = "".join(
        f"9606.{a} 9606.{b} {400 + round(500 * weight)}\n" for a, b, weight in both.iter_rows()
    )
    proteins = "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n" + "".join(
        f"9606.G{number}\tG{number}\t9\t-\n" for number in range(1, N + 1)
    )
    for name, content in (("links", HEADER + rows), ("info", proteins)):
        path = mirror / "string" / f"9606.protein.{name}.v12.0.txt.gz"
        path.write_bytes(gzip.compress(content.encode()))
    catalogue = load_catalogue()
    without = facts_of(Archives(catalogue, cache))
    space = space_of("network-4/string")
    assert "string-links string-proteins" in str(without.unavailable(space))
    facts = facts_of(Archives(catalogue, cache, locations=SourceLocations((str(mirror),))))
    assert facts.unavailable(space) is None
    rows_of = lake.read_arrow(embed_facts(lake, space, facts))
    assert rows_of["ensembl_gene_id"].to_pylist() == GENES
    within, between = mean_cosines(embedding_matrix(rows_of))
    assert within > 0.4
    assert between < -0.4
    n = two_communities().height
    assert link_fates(lake, "string", facts) == {
        "duplicate": n, "used": n, "names without gene": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("links", "proteins", "reason"),
    [
        (HEADER + "9606.P1 9606.P9 900\n", PROTEINS, "1 proteins have no row in protein.info"),
        ("a b c\n1 2 3\n", PROTEINS, "protein.links"),
        (HEADER + "9606.P1 9606.P2 high\n", PROTEINS, "protein.links"),
        (HEADER + "9606.P1 9606.P2 1001\n", PROTEINS, r"data row 1 .* at most 1"),
        (HEADER, "id\tname\n9606.P1\tG1\n", "expected #string_protein_id and preferred_name"),
    ],
)
def test_other_files_than_those_of_string_are_refused(
    tmp_path: Path, links: str, proteins: str, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason):
        read_network("string", string_files(tmp_path, links, proteins))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b",g1_symbol,g2_symbol\n0,A,B\n", r"has no column \['conn'\]"),
        (b",g1_symbol,g2_symbol,conn\n0,A,B,high\n", "format_h_sapiens.csv"),
        (b",g1_symbol,g2_symbol,conn\n0,A,B,.5\n0,A,,.5\n", "scnet: data row 2 is"),
        (b",g1_symbol,g2_symbol,conn\n0,A,B,0\n", "a score above 0"),
        (b",g1_symbol,g2_symbol,conn\n0,A,B,nan\n", "a score above 0"),
    ],
)
def test_a_table_of_interactions_with_other_rows_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    archives = made_archives(
        tmp_path / "archives", scnet={"scNET/Data/format_h_sapiens.csv": content}
    )
    with pytest.raises(SourceError, match=reason):
        read_network("interactions", network_files(archives, "interactions"))


def annotations() -> pl.DataFrame:
    """Each half of the genes has terms of its own; all share one, and one gene has its own only."""
    rng = np.random.default_rng(2)
    rows = [
        (id_, f"term {term + (SIZE if at >= SIZE else 0)}")
        for at, id_ in enumerate(GENES)
        for term in rng.choice(SIZE, 5, replace=False)
    ]
    rows += [(id_, "protein binding") for id_ in GENES]
    rows += [("ENSG00000000099", "known of one gene"), rows[0]]
    return pl.DataFrame(rows, ["ensembl_gene_id", "item"], orient="row")


def test_genes_of_the_same_terms_are_near() -> None:
    genes, vectors = co_annotation_vectors(annotations(), 6)
    assert genes == GENES, "a gene without a shared term has no vector"
    validate_vectors(vectors, N, 6)
    within, between = mean_cosines(vectors)
    assert within > 0.3
    assert between < -0.3
    again, of_mixed = co_annotation_vectors(
        annotations().sample(fraction=1, shuffle=True, seed=1), 6
    )
    assert again == genes
    np.testing.assert_allclose(of_mixed, vectors, atol=1e-6)
    with pytest.raises(EmbeddingError, match="30 genes that share 31 terms are too few for 30"):
        co_annotation_vectors(annotations(), 30)


def test_rare_terms_count_more() -> None:
    """Singular vectors of annotations weighted by inverse frequency, beside a plain computation."""
    terms = annotations().unique().filter(pl.col("ensembl_gene_id").is_in(GENES))
    names = sorted(set(terms["item"]))
    present = np.zeros((N, len(names)))
    for id_, item in terms.iter_rows():
        present[GENES.index(id_), names.index(item)] = 1
    weighted = present * (np.log((1 + N) / (1 + present.sum(axis=0))) + 1)
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(weighted)
    _, vectors = co_annotation_vectors(annotations(), 20)
    np.testing.assert_allclose(cosines(vectors), cosines(left[:, :20] * values[:20]), atol=5e-3)
    plain = present / np.linalg.norm(present, axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(plain)
    unweighted = cosines(left[:, :20] * values[:20])
    assert np.abs(cosines(vectors) - unweighted).max() > 0.05


RNG = np.random.default_rng(7)
FIRST = (GENES[:20], RNG.normal(3, 1, (20, 5)))
SECOND = (GENES[19:4:-1], RNG.normal(-1, 9, (15, 2)))
OF = ("lsa-5/name", "network-2/interactions")
MEMBERS = dict(zip(OF, (FIRST, SECOND), strict=True))


def centred_and_scaled(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(axis=0)
    return np.asarray(centred / np.sqrt(np.square(centred).sum(axis=1).mean()))


def test_members_are_centred_scaled_and_weighted() -> None:
    genes, vectors = fused(MEMBERS, declared_fusion(OF, [3, 1]))
    assert genes == GENES[5:20], "a gene needs every member"
    first, second = centred_and_scaled(FIRST[1][5:]), centred_and_scaled(SECOND[1][::-1])
    dots = 0.75 * first @ first.T + 0.25 * second @ second.T
    norms = np.sqrt(np.diag(dots))
    np.testing.assert_allclose(vectors @ vectors.T, dots / np.outer(norms, norms), atol=1e-6)
    validate_vectors(vectors, 15, 7)


def test_a_missing_member_is_at_its_mean() -> None:
    genes, vectors = fused(MEMBERS, declared_fusion(OF, missing="mean"))
    assert genes == GENES[:20]
    validate_vectors(vectors, 20, 7)
    assert not vectors[:5, 5:].any()
    alone = centred_and_scaled(FIRST[1])[:5]
    expected = alone / np.linalg.norm(alone, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors[:5, :5], expected, atol=1e-6)


def test_what_cannot_be_fused_is_refused() -> None:
    with pytest.raises(ValueError, match="have 1 genes in common"):
        fused(MEMBERS | {OF[1]: (GENES[19:], np.ones((11, 2)))}, declared_fusion(OF))
    with pytest.raises(ValueError, match="all vectors of network-2/interactions are alike"):
        fused(MEMBERS | {OF[1]: (GENES, np.ones((N, 2)))}, declared_fusion(OF))


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ('id = "fused/mine"', "names the members of a space fused/"),
        ('id = "lsa-8/mine"\nof = ["lsa-8/name", "lsa-8/full"]', "and of no other"),
        ('id = "fused/mine"\nof = ["lsa-8/name"]', "two spaces or more"),
        ('id = "fused/mine"\nof = ["lsa-8/name", "lsa-8/name"]', "each once"),
        ('id = "fused/mine"\nof = ["lsa-8/name", "fused/other"]', "are fused themselves"),
        ('id = "fused/mine"\nof = ["lsa-8/name", "lsa-8/full"]\nweights = [1]', "one for each"),
        ('id = "fused/mine"\nof = ["lsa-8/name", "lsa-8/full"]\nweights = [1, 0]', "positive"),
        ('id = "fused/mine"\nof = ["lsa-8/name", "lsa-8/full"]\nmissing = "zero"', '"mean"'),
        ('id = "lsa-8/mine"\nmissing = "mean"', "go with `of`"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, declared: str, reason: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[[spaces]]\n{declared}\n")
    with pytest.raises(SourceError, match=reason):
        declared_spaces.__wrapped__(path)


def test_a_fused_space_and_its_control(lake: Lake, facts: GeneFacts, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[spaces]]\nid = "fused/mine"\nof = ["network-4/interactions", "network-3/interactions"]\n'
        'weights = [2.0, 1.0]\n[[spaces]]\nid = "fused/mine@shuffled"\n'
    )
    *_, space, control = declared_spaces(path)
    assert (space.made_of, space.has_recipe, space.is_text) == ("fused", False, False)
    assert control.fusion == space.fusion
    members = {
        id_: embed_facts(lake, space_of(id_), facts)
        for id_ in ("network-4/interactions", "network-3/interactions")
    }
    own, others = (lake.read_arrow(embed_fused(lake, of, members)) for of in (space, control))
    genes = own["ensembl_gene_id"].to_pylist()
    assert genes == GENES
    assert own["symbol"].to_pylist() == [f"G{number}" for number in range(1, N + 1)]
    assert embedding_matrix(own).shape == (N, 7)
    np.testing.assert_array_equal(embedding_matrix(others), embedding_matrix(own)[shuffled(genes)])
    with pytest.raises(EmbeddingError, match="does not say what it is made of"):
        embed_fused(lake, Space("fused", "other"), members)


def test_an_installation_says_what_its_spaces_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no space is scored on a task whose answer it states; see `task_inputs`."""
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[spaces]]\nid = "fused/mine"\nof = ["lsa-8/name", "network-8/interactions"]\n'
        '[[spaces]]\nid = "network-8/interactions"\n'
        '[[spaces]]\nid = "lsa-8/name"\n'
        '[[spaces]]\nid = "fused/typo"\nof = ["lsa-8/name", "network-9/interactions"]\n'
    )
    monkeypatch.setattr(Platform, "registered_spaces", [])
    platform = Platform(Settings(state_dir=tmp_path, recipes=path))
    known = {space.id: space for space in platform.every_space}
    text_only, network, both = (
        platform.stated_parts(known[id_])
        for id_ in ("lsa-8/name", "network-8/interactions", "fused/mine")
    )
    assert network == {"interactions"}
    assert both == text_only | network
    assert platform.stated_parts(known["go-200/co-annotation"]) == {"go"}
    assert [recipe.id for recipe in platform.recipes_of(known["fused/mine"])] == ["name"]
    assert platform.recipes_of(network_space := known["network-8/interactions"]) == []
    assert platform.unavailable(network_space) is None
    why = platform.unavailable(known["fused/typo"])
    assert why == "network-9/interactions: there is no such space"
    stated = {id_: task.stated_by for id_, task in TASKS.items()}
    assert stated["protein-interaction"] == stated["ligand-receptor"] == ("interactions",)
    assert stated["go-terms"] == ("go",)


@pytest.mark.slow
@pytest.mark.index
@pytest.mark.timeout(1200)
def test_the_real_network_and_annotations(real_archives: Archives, lake: Lake) -> None:
    reference = starter_reference(real_archives)
    facts = GeneFacts(KnowledgeSources(real_archives), lambda: reference, "starter")
    assert link_fates(lake, "interactions", facts) == {
        "duplicate": 109, "used": 543_977, "without_gene": 1_587, "names without gene": 169
    }  # fmt: skip
    coding = set(reference.published.filter(biotype="protein_coding")["ensembl_gene_id"])
    for id_, n, n_coding in (
        ("network-200/interactions", 18_862, 17_622),
        ("go-200/co-annotation", 18_966, 18_295),
    ):
        part = embed_facts(lake, space_of(id_), facts)
        genes = lake.read(part, ["ensembl_gene_id"])["ensembl_gene_id"]
        assert (id_, part.dimension) == (id_, 200)
        assert (len(genes), len(coding.intersection(genes))) == (n, n_coding)
