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

from genept.common.errors import StoreError
from genept.datasources.download.archives import Archives
from genept.datasources.reference_archives import read_gencode_genes
from genept.nomenclature.reference import published_genes
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin
from genept.text.composition import text_sha256
from genept.text.gene_descriptions import describe, describe_genes
from genept.text.knowledge import Knowledge, KnowledgeSources
from genept.text.limits import counted_by, counting
from genept.text.recipes import Mask, Recipe, load_recipes

RECIPES = load_recipes()


def count_tokens(texts):
    """Words and punctuation marks apart, as WordPiece splits them, between two special tokens."""
    return [2 + len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def recipe(*parts, max_tokens=64, requires=("name",), **more):
    return Recipe(
        id="test",
        parts=parts,
        requires=requires,
        biotypes=("coding",),
        max_tokens=max_tokens,
        **more,
    )


def rows_of(knowledge, recipe_):
    """The descriptions alone."""
    return describe(knowledge, recipe_, count_tokens)[0]


def knowledge_of(terms_of, name="kinase one"):
    """Genes with the given GO terms each; the last of the genes has none and is not coding."""
    genes = [
        gene(number, f"G{number}", name=name, biotype="coding")
        for number in range(1, len(terms_of) + 1)
    ]
    annotated = [
        {"ensembl_gene_id": row["ensembl_gene_id"], "item": term, "aspect": "process"}
        for row, terms in zip(genes, terms_of, strict=True)
        for term in terms
    ]
    schema = dict.fromkeys(("ensembl_gene_id", "item", "aspect", "evidence"), pl.String)
    names = [row for row in genes if row["name"]]
    return Knowledge(
        genes=reference_of(*genes, gene(99, "RNA", name="an RNA", biotype="lncRNA")),
        facts={
            "name": pl.DataFrame(
                {
                    "ensembl_gene_id": [row["ensembl_gene_id"] for row in names],
                    "item": [row["name"] for row in names],
                },
                schema={"ensembl_gene_id": pl.String, "item": pl.String},
            ),
            "go": pl.DataFrame(annotated, schema=schema),
        },
        releases={"name": "hgnc-test", "go": "go-test"},
    )


def test_a_description_and_what_it_was_composed_of():
    (row,) = rows_of(knowledge_of([["binding", "cell cycle"]]), recipe("name", "go")).rows(
        named=True
    )
    assert row == {
        "recipe": "test",
        "ensembl_gene_id": "ENSG00000000001",
        "symbol": "G1",
        "text": "kinase one. binding; cell cycle",
        "text_sha256": text_sha256("kinase one. binding; cell cycle"),
        "n_tokens": 2 + 2 + 1 + 1 + 1 + 2,
        "parts": ["name@hgnc-test 1/1", "go@go-test 2/2"],
    }
    assert set(row) == set(TABLES["gene_descriptions"].schema().names)


def test_whole_items_are_left_out_from_the_end():
    knowledge = knowledge_of([["aa bb", "cc dd ee", "ff"]])
    texts = {}
    for budget in range(4, 16):
        rows = rows_of(knowledge, recipe("name", "go", max_tokens=budget))
        texts[budget] = rows["text"].item()
    for budget in (4, 5, 6):
        assert texts[budget] == "kinase one"
    for budget in (7, 8, 9, 10):  # ff would fit, but it comes after what does not
        assert texts[budget] == "kinase one. aa bb"
    for budget in (11, 12):
        assert texts[budget] == "kinase one. aa bb; cc dd ee"
    assert texts[13] == texts[15] == "kinase one. aa bb; cc dd ee; ff"


@pytest.mark.parametrize(
    ("unit", "budget", "text"),
    [
        ("wordpiece", 13, "kinase one. aa bb; cc dd"),  # marks are tokens, too
        ("words", 10, "kinase one. aa bb; cc dd"),
        ("cl100k_base", 11, "kinase one. aa bb"),  # no vocabulary here: three bytes a token
    ],
)
def test_a_budget_is_spent_in_the_embedders_own_tokens(monkeypatch, tmp_path, unit, budget, text):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    knowledge = knowledge_of([["aa bb", "cc dd", "ee ff gg hh", "ii jj kk"]])
    own = recipe("name", "go", budgets={"x": budget}).for_embedder("x", unit)
    counted = counting(unit, lambda: count_tokens)
    (row,) = describe(knowledge, own, counted)[0].rows(named=True)
    assert row["text"] == text
    assert counted([text])[0] <= row["n_tokens"] <= budget
    assert row["parts"][1].startswith("go@go-test ")
    assert ("estimate" in counted_by(unit)) == (unit == "cl100k_base")


def test_a_first_item_over_the_budget_is_cut_after_a_word_and_says_so():
    described = rows_of(
        knowledge_of([["ff"]], name="a b c d e f g h"), recipe("name", "go", max_tokens=5)
    )
    assert described.select("text", "n_tokens", "parts").row(0) == (
        "a b c", 5, ["name@hgnc-test 1/1, cut", "go@go-test 0/1"]
    )  # fmt: skip


def test_the_part_that_gives_way_first_is_spent_last_whatever_its_place():
    knowledge = knowledge_of([["aa bb", "cc dd ee", "ff"]])
    texts = {
        budget: rows_of(knowledge, recipe("go", "name", max_tokens=budget, gives_way=("go",)))[
            "text"
        ].item()
        for budget in (4, 7, 13)
    }
    assert texts == {
        4: "kinase one",
        7: "aa bb. kinase one",
        13: "aa bb; cc dd ee; ff. kinase one",
    }


def test_limits_leads_and_separators():
    uses = ({"part": "go", "max_items": 2, "lead": "Does: ", "separator": ", "}, "name")
    (row,) = rows_of(knowledge_of([["aa", "bb", "cc"]]), recipe(*uses)).rows(named=True)
    assert row["text"] == "Does: aa, bb. kinase one"
    assert [row["n_tokens"]] == count_tokens([row["text"]])
    assert row["parts"] == ["go@go-test 2/3", "name@hgnc-test 1/1"]


def test_control_characters_go_and_are_counted_and_an_empty_item_is_none():
    terms = ["cell\x00 cycle\x1b", "\x07", "growth"]
    (row,) = rows_of(knowledge_of([terms]), recipe("name", "go")).rows(named=True)
    assert row["text"] == "kinase one. cell cycle; growth"
    assert row["parts"][1] == "go@go-test 2/3, cleaned 2"
    _, left_out = describe(knowledge_of([[]], name="\x00"), recipe("name", "go"), count_tokens)
    assert left_out["reason"].to_list() == ["has no name"]


def test_masks_take_words_out_and_are_recorded():
    words = Mask(id="words", words=("binding",))
    own = Mask(id="own", own_name=True)
    knowledge = knowledge_of([["binding of G1", "G1", "unbinding"]])
    (row,) = rows_of(knowledge, recipe("name", "go", masks=(words, own))).rows(named=True)
    assert row["text"] == "of; unbinding"
    assert row["parts"] == [
        "name@hgnc-test 0/1, mask own 1",
        "go@go-test 2/3, mask words 1, mask own 2",
    ]
    rows, left_out = describe(knowledge_of([[]]), recipe("name", masks=(own,)), count_tokens)
    assert rows.is_empty()
    assert left_out["reason"].to_list() == ["nothing is left of it under the masks"]


def test_a_part_may_take_anothers_place():
    uses = ({"part": "go", "otherwise": "name"},)
    described = rows_of(knowledge_of([["aa"], []]), recipe(*uses, requires=("go",)))
    assert described["text"].to_list() == ["aa", "kinase one"]
    assert described["parts"].to_list() == [
        ["go@go-test 1/1"], ["name@hgnc-test 1/1, instead of go"]
    ]  # fmt: skip


def test_terms_are_chosen_by_aspect():
    uses = (
        "name",
        {"part": "go", "aspects": ("process",)},
        {"part": "go", "aspects": ("function",)},
    )
    (row,) = rows_of(knowledge_of([["aa"]]), recipe(*uses)).rows(named=True)
    assert row["parts"] == ["name@hgnc-test 1/1", "go:process@go-test 1/1"]


def test_a_gene_without_what_is_required_has_no_description():
    knowledge = knowledge_of([["binding"], [], ["growth"]])
    both = rows_of(knowledge, recipe("name", "go", requires=("name", "go")))
    assert both["symbol"].to_list() == ["G1", "G3"]
    coding = knowledge.genes.filter(biotype="coding")
    without = coding.join(both, on="ensembl_gene_id", how="anti")
    assert without["symbol"].to_list() == ["G2"]
    name_is_enough = rows_of(knowledge, recipe("name", "go"))
    assert name_is_enough["symbol"].to_list() == ["G1", "G2", "G3"]
    assert name_is_enough["parts"][1].to_list() == ["name@hgnc-test 1/1"]
    nameless = knowledge_of([["binding"]], name=None)
    assert rows_of(nameless, recipe("name", "go")).is_empty()
    go_first = rows_of(nameless, recipe("name", "go", requires=("go",)))
    assert go_first["text"].to_list() == ["binding"]


WORDS = st.lists(st.sampled_from(["aa", "b-c", "dd (ee)", "f's", "β"]), min_size=1, max_size=4)
TERMS = st.lists(st.lists(WORDS.map(" ".join), max_size=6, unique=True), min_size=1, max_size=3)


@given(TERMS, st.integers(4, 40), WORDS.map(" ".join))
def test_counts_are_exact_and_the_budget_is_kept(terms_of, max_tokens, name):
    described = rows_of(knowledge_of(terms_of, name), recipe("name", "go", max_tokens=max_tokens))
    assert described.height == len(terms_of)
    for row, terms in zip(described.rows(named=True), terms_of, strict=True):
        assert [row["n_tokens"]] == count_tokens([row["text"]])
        assert row["n_tokens"] <= max_tokens or len(row["text"].split()) == 1
        if "cut" in row["parts"][0]:
            assert name.startswith(row["text"])
            continue
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
    "GO:0008150": "biological_process",
    "GO:0005515": "protein binding",
}


def go_archives(folder) -> Archives:
    stanzas = "".join(
        f"[Term]\nid: {id_}\nname: {name}\nnamespace: biological_process\n"
        + ("is_obsolete: true\n" if id_ == "GO:9" else "")
        for id_, name in GO.items()
    )
    annotations = {
        "P1": ["GO:1", "GO:2", "GO:3", "GO:9", "GO:0005515"],
        "P1b": ["GO:1", "GO:4"],
        "P2": ["GO:2", "GO:1"],
        "P3": ["GO:1"],
        "P4": ["GO:3"],
        "P6": ["GO:0008150", "GO:0005515"],
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
    gene(6, "G6", uniprot_ids=["P6"]),
)


def test_an_id_that_stands_for_a_symbol_is_never_shown(tmp_path):
    unnamed = gene(7, f"ENSG{7:011d}", hgnc_id="", name=None, biotype="coding")
    genes = reference_of(gene(1, "G1", biotype="coding"), unnamed)
    symbols = KnowledgeSources(go_archives(tmp_path)).read(genes, ("symbol",))
    rows, left_out = describe(
        symbols, recipe("symbol", requires=("symbol",)), lambda texts: [3] * len(texts)
    )
    assert rows["text"].to_list() == ["G1"]
    assert left_out.select("ensembl_gene_id", "reason").rows() == [
        (f"ENSG{7:011d}", "has no symbol")
    ]


def terms_of(knowledge):
    """Terms by gene, in order."""
    grouped = knowledge.facts["go"].group_by("ensembl_gene_id", maintain_order=True).agg("item")
    return dict(grouped.iter_rows())


def test_the_terms_that_fewest_genes_share_come_first(tmp_path):
    sources = KnowledgeSources(go_archives(tmp_path))
    knowledge = sources.read(ANNOTATED, ("name", "go"))
    assert terms_of(knowledge) == {
        "ENSG00000000001": ["a rare function", "rare process", "shared by two", "common process"],
        "ENSG00000000002": ["shared by two", "common process"],
        "ENSG00000000003": ["common process"],
    }
    assert knowledge.releases == {"name": "hgnc-test", "go": "go-2019-07-01"}
    again = sources.read(ANNOTATED.reverse(), ("go",))
    assert again.facts["go"].equals(knowledge.facts["go"])


def test_a_gene_of_which_a_recipe_needs_no_term_is_described_without_one(tmp_path):
    knowledge = KnowledgeSources(go_archives(tmp_path)).read(ANNOTATED, ("name", "go"))
    lenient = RECIPES["name-go"].model_copy(update={"requires": ("name",)})
    rows, left_out = describe(knowledge, lenient, count_tokens)
    text_of = dict(rows.select("symbol", "text").iter_rows())
    assert text_of["G6"] == "name of G6"
    assert left_out.is_empty()
    assert knowledge.without_content == {"go": frozenset({"ENSG00000000006"})}


def genes_part(lake: Lake, genes: pl.DataFrame):
    origin = Origin(("genept.schema.tables",), settings={"symbols": genes["symbol"].to_list()})
    (part,) = lake.build("genes", origin, lambda: [NewPart("genes", published_genes(genes))])
    return part


def test_a_recipes_part_is_made_once(lake: Lake, tmp_path):
    sources = KnowledgeSources(go_archives(tmp_path / "archives"))
    genes = genes_part(lake, ANNOTATED)
    opened = []

    def tokenizer():
        opened.append(1)
        return count_tokens

    def build(**options):
        return describe_genes(lake, sources, genes, RECIPES["name-go"], tokenizer, **options)

    part, left_out = build()
    rows = lake.read(part)
    assert lake.read(left_out).select("symbol", "reason").rows() == [
        ("G4", "has no go"),
        ("G5", "has no go"),
        ("G6", "has no go but terms without content (docs/recipes.md)"),
    ]
    assert rows["symbol"].to_list() == ["G1", "G2", "G3"]
    assert rows["text"][1] == "name of G2. shared by two; common process"
    assert part.partition == ("name-go",)
    assert build() == [part, left_out]
    assert len(opened) == 1
    assert lake.read(build(max_genes=2)[0])["symbol"].to_list() == ["G1", "G2"]


def test_a_recipe_that_describes_nobody_is_refused(lake: Lake, tmp_path):
    genes = genes_part(lake, ANNOTATED.filter(symbol="G4"))
    with pytest.raises(StoreError, match="'name-go' describes no gene: none of the 1 is of"):
        describe_genes(
            lake,
            KnowledgeSources(go_archives(tmp_path / "archives")),
            genes,
            RECIPES["name-go"],
            lambda: count_tokens,
        )


def test_a_recipe_without_its_source_is_refused_with_the_remedy(lake: Lake, tmp_path):
    sources = KnowledgeSources(go_archives(tmp_path / "archives"))
    genes = genes_part(lake, ANNOTATED)
    with pytest.raises(
        StoreError, match=r"'ncbi' is not available: summary has no source.*fetch ncbi-gene-summary"
    ):
        describe_genes(lake, sources, genes, RECIPES["ncbi"], lambda: count_tokens)
    strict = recipe({"part": "go", "evidence": ("IDA",)}, requires=("go",))
    assert "evidence codes" in sources.unavailable(strict)


@pytest.mark.slow
@pytest.mark.index
@pytest.mark.timeout(1200)
def test_the_real_descriptions(real_archives: Archives, real_reference: pl.DataFrame):
    with real_archives.open_member("minilm", "model/tokenizer.json") as stream:
        tokenizer = Tokenizer.from_buffer(stream.read())
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts):
        return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts))]

    genes = published_genes(real_reference, read_gencode_genes(real_archives))
    sources = KnowledgeSources(real_archives)
    coding = genes.filter(biotype="protein_coding")
    expected = {"name": 19_233, "name-go": 18_296, "full": 19_233}
    available = {id_: recipe for id_, recipe in RECIPES.items() if not sources.unavailable(recipe)}
    assert set(expected) <= set(available)
    for id_, recipe_ in available.items():
        knowledge = sources.read(genes, recipe_.part_names)
        rows, left_out = describe(knowledge, recipe_, count)
        assert rows["n_tokens"].to_list() == count(rows["text"])
        assert rows["n_tokens"].max() <= recipe_.max_tokens
        assert rows.height == expected.get(id_, rows.height) > 0
        assert not rows["text"].str.contains(r"\p{Cc}").any()
        assert not rows["text"].str.contains(r"ENSG\d").any(), "an id is no name"
        of_kinds = genes.filter(pl.col("biotype").is_in(list(recipe_.biotypes)))
        assert rows.height + left_out.height == of_kinds.height
    assert coding.height == 19_931
    knowledge = sources.read(genes, RECIPES["name-go"].part_names)
    shared_by = dict(
        knowledge.facts["go"].unique(["ensembl_gene_id", "item"])["item"].value_counts().iter_rows()
    )
    for terms in terms_of(knowledge).values():
        sizes = [shared_by[term] for term in terms]
        assert sizes == sorted(sizes)
