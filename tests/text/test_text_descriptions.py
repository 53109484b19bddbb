"""Descriptions: what is in them, how long they are, and who has none."""

import gzip
import json
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import gene, made_archives, reference_of
from tokenizers import Tokenizer

from genept.nomenclature.reference import published_genes
from genept.sources.archives import Archives
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart
from genept.store.provenance import Origin
from genept.tables import TABLES
from genept.text.cache import text_sha256
from genept.text.descriptions import Knowledge, describe, describe_genes, read_knowledge
from genept.text.recipes import Recipe, load_recipes

RECIPES = load_recipes()


def count_tokens(texts):
    """Words and punctuation marks apart, as WordPiece splits them, between two special tokens."""
    return [2 + len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def recipe(*parts, max_tokens=64, requires=("name",)):
    return Recipe(
        id="test", parts=parts, requires=requires, biotypes=("coding",), max_tokens=max_tokens
    )


def knowledge_of(terms_of, name="kinase one"):
    """Genes with the given GO terms each; the last of the genes has none and is not coding."""
    genes = [
        gene(number, f"G{number}", name=name, biotype="coding")
        for number in range(1, len(terms_of) + 1)
    ]
    annotated = [
        {"ensembl_gene_id": one["ensembl_gene_id"], "terms": terms}
        for one, terms in zip(genes, terms_of, strict=True)
        if terms
    ]
    schema = {"ensembl_gene_id": pl.String, "terms": pl.List(pl.String)}
    return Knowledge(
        genes=reference_of(*genes, gene(99, "RNA", name="an RNA", biotype="lncRNA")),
        go_terms=pl.DataFrame(annotated, schema=schema),
        releases={"name": "hgnc-test", "go": "go-test"},
    )


def test_a_description_and_what_it_was_composed_of():
    (row,) = describe(
        knowledge_of([["binding", "cell cycle"]]), recipe("name", "go"), count_tokens
    ).rows(named=True)
    assert row == {
        "recipe": "test",
        "ensembl_gene_id": "ENSG00000000001",
        "symbol": "G1",
        "text": "kinase one. binding; cell cycle",
        "text_sha256": text_sha256("kinase one. binding; cell cycle"),
        "n_tokens": 2 + 2 + 1 + 1 + 1 + 2,
        "parts": ["name@hgnc-test", "go@go-test"],
    }
    assert set(row) == set(TABLES["gene_descriptions"].schema().names)


def test_whole_items_are_left_out_from_the_end():
    knowledge = knowledge_of([["aa bb", "cc dd ee", "ff"]])
    texts = {}
    for budget in range(4, 16):
        rows = describe(knowledge, recipe("name", "go", max_tokens=budget), count_tokens)
        texts[budget] = rows["text"].item()
    for budget in (4, 5, 6):
        assert texts[budget] == "kinase one"
    for budget in (7, 8, 9, 10):  # ff would fit, but it comes after what does not
        assert texts[budget] == "kinase one. aa bb"
    for budget in (11, 12):
        assert texts[budget] == "kinase one. aa bb; cc dd ee"
    assert texts[13] == texts[15] == "kinase one. aa bb; cc dd ee; ff"


def test_a_first_item_over_the_budget_stands_alone_and_is_counted_whole():
    described = describe(
        knowledge_of([["ff"]], name="a b c d e f g h"),
        recipe("name", "go", max_tokens=5),
        count_tokens,
    )
    assert described.select("text", "n_tokens", "parts").row(0) == (
        "a b c d e f g h", 10, ["name@hgnc-test"]
    )  # fmt: skip


def test_a_gene_without_what_is_required_has_no_description():
    knowledge = knowledge_of([["binding"], [], ["growth"]])
    both = describe(knowledge, recipe("name", "go", requires=("name", "go")), count_tokens)
    assert both["symbol"].to_list() == ["G1", "G3"]
    coding = knowledge.genes.filter(biotype="coding")
    without = coding.join(both, on="ensembl_gene_id", how="anti")
    assert without["symbol"].to_list() == ["G2"]
    name_is_enough = describe(knowledge, recipe("name", "go"), count_tokens)
    assert name_is_enough["symbol"].to_list() == ["G1", "G2", "G3"]
    assert name_is_enough["parts"][1].to_list() == ["name@hgnc-test"]
    nameless = knowledge_of([["binding"]], name=None)
    assert describe(nameless, recipe("name", "go"), count_tokens).is_empty()
    go_first = describe(nameless, recipe("name", "go", requires=("go",)), count_tokens)
    assert go_first["text"].to_list() == ["binding"]


WORDS = st.lists(st.sampled_from(["aa", "b-c", "dd (ee)", "f's", "β"]), min_size=1, max_size=4)
TERMS = st.lists(st.lists(WORDS.map(" ".join), max_size=6, unique=True), min_size=1, max_size=3)


@given(TERMS, st.integers(4, 40), WORDS.map(" ".join))
def test_counts_are_exact_and_the_budget_is_kept(terms_of, max_tokens, name):
    described = describe(
        knowledge_of(terms_of, name), recipe("name", "go", max_tokens=max_tokens), count_tokens
    )
    assert described.height == len(terms_of)
    for row, terms in zip(described.rows(named=True), terms_of, strict=True):
        assert [row["n_tokens"]] == count_tokens([row["text"]])
        assert row["n_tokens"] <= max_tokens or row["text"] == name
        every = [name + ("." if terms else ""), *(f"{term};" for term in terms)]
        shown = row["text"] + (";" if row["text"] != name else "." if terms else "")
        prefixes = [" ".join(every[:n]) for n in range(1, len(every) + 1)]
        assert shown in prefixes
        if shown != prefixes[-1]:  # one more would have been too many
            longer = prefixes[prefixes.index(shown) + 1].removesuffix(";")
            assert count_tokens([longer])[0] > max_tokens


GO = {
    "GO:1": "common process",
    "GO:2": "shared by two",
    "GO:3": "rare process",
    "GO:4": "a rare function",
    "GO:9": "long gone",
}


def go_archives(folder) -> Archives:
    stanzas = "".join(
        f"[Term]\nid: {id_}\nname: {name}\nnamespace: biological_process\n"
        + ("is_obsolete: true\n" if id_ == "GO:9" else "")
        for id_, name in GO.items()
    )
    annotations = {
        "P1": ["GO:1", "GO:2", "GO:3", "GO:9"],
        "P1b": ["GO:1", "GO:4"],
        "P2": ["GO:2", "GO:1"],
        "P3": ["GO:1"],
        "P4": ["GO:3"],
    }
    return made_archives(
        folder,
        pyiomica={
            "pyiomica/data/goBasicObo.txt.gz": gzip.compress(stanzas.encode()),
            "pyiomica/data/humanIdentifierAssoc.json.gz": gzip.compress(
                json.dumps(["test", annotations]).encode()
            ),
        },
    )


ANNOTATED = reference_of(
    gene(1, "G1", uniprot_ids=["P1", "P1b"]),
    gene(2, "G2", uniprot_ids=["P2"]),
    gene(3, "G3", uniprot_ids=["P3"]),
    gene(4, "G4"),
    gene(5, "G5", uniprot_ids=["P-unknown"]),
)


def test_the_terms_that_fewest_genes_share_come_first(tmp_path):
    knowledge = read_knowledge(go_archives(tmp_path), ANNOTATED)
    assert dict(knowledge.go_terms.iter_rows()) == {
        "ENSG00000000001": ["a rare function", "rare process", "shared by two", "common process"],
        "ENSG00000000002": ["shared by two", "common process"],
        "ENSG00000000003": ["common process"],
    }
    assert knowledge.releases == {"name": "hgnc-test", "go": "go-2019-07-01"}
    again = read_knowledge(go_archives(tmp_path), ANNOTATED.reverse())
    assert again.go_terms.equals(knowledge.go_terms)


def genes_part(lake: Lake, genes: pl.DataFrame):
    origin = Origin(("genept.tables",), settings={"symbols": genes["symbol"].to_list()})
    (part,) = lake.build("genes", origin, lambda: [NewPart("genes", genes)])
    return part


def test_a_recipes_part_is_made_once(lake: Lake, tmp_path):
    archives, genes = go_archives(tmp_path / "archives"), genes_part(lake, ANNOTATED)
    opened = []

    def tokenizer():
        opened.append(1)
        return count_tokens

    def build(**options):
        return describe_genes(lake, archives, genes, RECIPES["name-go"], tokenizer, **options)

    part = build()
    rows = lake.read(part)
    assert rows["symbol"].to_list() == ["G1", "G2", "G3"]
    assert rows["text"][1] == "name of G2. shared by two; common process"
    assert part.partition == ("name-go",)
    assert build() == part
    assert len(opened) == 1
    assert lake.read(build(max_genes=2))["symbol"].to_list() == ["G1", "G2"]


def test_a_recipe_that_describes_nobody_is_refused(lake: Lake, tmp_path):
    genes = genes_part(lake, ANNOTATED.filter(symbol="G4"))
    with pytest.raises(StoreError, match="'name-go' describes no gene: none of the 1 is of"):
        describe_genes(
            lake,
            go_archives(tmp_path / "archives"),
            genes,
            RECIPES["name-go"],
            lambda: count_tokens,
        )


@pytest.mark.index
@pytest.mark.timeout(1200)
def test_the_real_descriptions(real_archives: Archives, real_reference: pl.DataFrame):
    with real_archives.open_member("minilm", "model/tokenizer.json") as stream:
        tokenizer = Tokenizer.from_buffer(stream.read())
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts):
        return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts))]

    genes = published_genes(real_reference)
    knowledge = read_knowledge(real_archives, genes)
    coding = genes.filter(biotype="protein_coding")
    expected = {"name": 19_232, "name-go": 18_497}
    for id_, recipe_ in RECIPES.items():
        rows = describe(knowledge, recipe_, count)
        assert rows["n_tokens"].to_list() == count(rows["text"])
        assert rows["n_tokens"].max() <= recipe_.max_tokens
        assert rows.height == expected[id_]
        assert not rows["text"].str.contains(r"\p{Cc}").any()
        without = coding.join(rows, on="ensembl_gene_id", how="anti")
        assert rows.height + without.height == coding.height == 19_252
        known = without.join(knowledge.go_terms, on="ensembl_gene_id", how="left")
        columns = {"name": "name", "go": "terms"}
        lacks = [pl.col(columns[part]).is_null() for part in recipe_.requires]
        assert known.filter(pl.any_horizontal(lacks)).height == without.height
    shared_by = dict(
        knowledge.go_terms.explode("terms", empty_as_null=False)["terms"].value_counts().iter_rows()
    )
    for terms in knowledge.go_terms["terms"].to_list():
        sizes = [shared_by[term] for term in terms]
        assert sizes == sorted(sizes)
