"""Knowledge from a mirror: joined to genes, tidied, ordered, with its release."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
from installations import PROJECT
from planted import gene, reference_of

from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.nomenclature.reference import published_genes
from genept.text.composition import sentences, tidy_summary
from genept.text.gene_descriptions import describe
from genept.text.knowledge import KnowledgeSources
from genept.text.recipes import PARTS, Recipe, load_dimensions, load_recipes

MIRROR = PROJECT.parent / "shared" / "mirror"
GENES = reference_of(
    gene(1, "G1", name="gene one", uniprot_ids=["P1"]),
    gene(2, "G2", name="gene two", uniprot_ids=["P2"]),
)
ONE, TWO = GENES["ensembl_gene_id"]


def words(texts):
    return [2 + len(text.replace(".", " . ").replace(";", " ; ").split()) for text in texts]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror with every file, each in a few lines."""
    gaf = "UniProtKB\t{}\tX\tenables\t{}\tPMID:1\t{}\t\tF\tx\tx\tprotein\ttaxon:9606\t{}\tX\t\t\n"
    biogrid = (
        "Entrez Gene Interactor A\tEntrez Gene Interactor B\tOfficial Symbol Interactor A\t"
        "Official Symbol Interactor B\tExperimental System Type\tPublication Source\t"
        "Organism ID Interactor A\tOrganism ID Interactor B\n"
    )
    files = {
        "ncbi-gene-summary": "#tax_id\tGeneID\tSource\tSummary\n9606\t1\tRefSeq\tBinds DNA. It is "
        "found in nuclei (PMID: 12, 13). [provided by RefSeq, Jul 2008]\n",
        "uniprot-human": "ID   X\nAC   P1;\nOX   NCBI_TaxID=9606;\n"
        "CC   -!- FUNCTION: Binds things. {ECO:1}.\n//\n",
        "goa-human": "!date-generated: 2024-06-10T08:11\n"
        + gaf.format("P1", "GO:1", "IDA", "20240101")
        + gaf.format("P1", "GO:2", "IEA", "20231231")
        + gaf.format("P1", "GO:2", "ND", "20231231")
        + gaf.format("P1", "GO:3", "ND", "20231231")
        + gaf.format("P1", "GO:0005488", "IPI", "20231231")
        + gaf.format("P2", "GO:1", "IEA", "20240601"),
        "go-basic": "".join(
            f"[Term]\nid: GO:{n}\nname: term {n}\nnamespace: {aspect}\n\n"
            for n, aspect in (
                (1, "molecular_function"),
                (2, "biological_process"),
                (3, "biological_process"),
                ("0005488", "molecular_function"),
            )
        ),
        "reactome-genes": "P1\tR-HSA-1\tu\tBig pathway\tTAS\tHomo sapiens\n"
        "P2\tR-HSA-1\tu\tBig pathway\tTAS\tHomo sapiens\n"
        "P1\tR-HSA-2\tu\tSmall pathway\tTAS\tHomo sapiens\n",
        "hpo-genes": "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\n1\tG1\tHP:1\tShort stature\n",
        "biogrid": biogrid + "1\t2\tG1\tG2\tphysical\tPUBMED:1\t9606\t9606\n",
    }
    for id_, content in files.items():
        in_mirror(tmp_path, id_, content)
    return tmp_path


def in_mirror(mirror: Path, id_: str, content: str) -> None:
    """Put a source where a mirror keeps it, packed as its publisher does."""
    source = load_catalogue().source(id_)
    path = mirror / str(source.mirror)
    path.parent.mkdir(exist_ok=True)
    if source.kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("BIOGRID-ORGANISM-Homo_sapiens-4.4.200.tab3.txt", content)
    else:
        data = content.encode()
        path.write_bytes(gzip.compress(data) if source.kind == "gzip" else data)


class Written:
    """What a language model wrote: two statements of one gene."""

    def missing(self, writer):
        return None

    def sha256(self, writer):
        return f"hash of {writer}"

    def read(self, writer):
        return pl.DataFrame(
            {
                "ensembl_gene_id": [ONE, ONE],
                "item": ["It binds DNA.", "It acts in muscle."],
            }
        )


def sources_of(mirror: Path | None, *written: Written) -> KnowledgeSources:
    locations = SourceLocations((str(mirror),) if mirror else ())
    archives = Archives(load_catalogue(), Path(tempfile.mkdtemp()), locations=locations)
    return KnowledgeSources(archives, *written)


def test_every_part_from_its_publisher(mirror: Path):
    knowledge = sources_of(mirror, Written()).read(GENES, PARTS, "m")
    items = {
        part: frame.filter(ensembl_gene_id=ONE)["item"].to_list()
        for part, frame in knowledge.facts.items()
    }
    assert items == {
        "symbol": ["G1"],
        "name": ["gene one"],
        "biotype": ["protein coding"],
        "summary": ["Binds DNA.", "It is found in nuclei."],
        "function": ["Binds things."],
        "location": [],
        "disease": [],
        "go": ["term 2", "term 1"],
        "pathways": ["Small pathway", "Big pathway"],
        "interactions": ["G2"],
        "phenotypes": ["Short stature"],
        "written": ["It binds DNA.", "It acts in muscle."],
    }
    assert knowledge.releases["written"] == "m"
    assert knowledge.releases["go"] == "goa-2024-06-10"
    assert knowledge.releases["pathways"].startswith("reactome-genes-sha256-")
    assert set(knowledge.releases) == set(PARTS)


def test_every_shipped_recipe_is_available_with_a_whole_mirror(mirror: Path):
    sources = sources_of(mirror, Written())
    texts = {}
    for recipe in load_recipes().values():
        assert sources.unavailable(recipe) is None
        knowledge = sources.read(GENES, recipe.part_names, recipe.writer)
        rows, left_out = describe(knowledge, recipe, words)
        texts[recipe.id] = dict(rows.select("symbol", "text").iter_rows())
        assert rows.height + left_out.height == 2
    assert texts["ncbi"] == {
        "G1": "Binds DNA. It is found in nuclei.",
        "G2": "gene two",
    }
    assert texts["ncbi-uniprot"]["G1"] == "Binds DNA. It is found in nuclei. Binds things."
    assert texts["full"]["G1"] == (
        "G1. gene one. protein coding. Binds DNA. It is found in nuclei. Binds things. "
        "Molecular function: term 1. Biological process: term 2. "
        "Pathways: Small pathway; Big pathway. Interacts with: G2. Phenotypes: Short stature"
    )


def test_statements_are_chosen_by_what_they_speak_of(mirror: Path):
    written = load_recipes()["written-smollm2"]
    tissues = load_dimensions()["tissues"]
    recipe = written.model_validate(
        written.model_dump()
        | {"parts": [{"part": "written", "dimensions": [tissues]}], "requires": ["written"]}
    )
    sources = sources_of(mirror, Written())
    knowledge = sources.read(GENES, recipe.part_names, recipe.writer)
    rows, _ = describe(knowledge, recipe, words)
    assert rows.select("symbol", "text").rows() == [("G1", "It acts in muscle.")]
    assert sources.inputs(recipe.part_names, "m") == {"written by m": "hash of m"}


def test_terms_by_evidence(mirror: Path):
    recipe = load_recipes()["name-go"].model_validate(
        load_recipes()["name-go"].model_dump()
        | {"parts": [{"part": "go", "evidence": ["IDA"]}], "requires": ["go"]}
    )
    knowledge = sources_of(mirror).read(GENES, ("go",))
    rows, left_out = describe(knowledge, recipe, words)
    assert rows.select("symbol", "text").rows() == [("G1", "term 1")]
    assert left_out.select("symbol", "reason").rows() == [("G2", "has no go")]


def of_terms(**part) -> Recipe:
    shipped = load_recipes()["name-go"].model_dump()
    asked = {"parts": ["name", {"part": "go", **part}], "requires": ["go"]}
    return Recipe.model_validate(shipped | asked)


def test_a_text_knows_what_was_said_before_a_day(mirror: Path):
    knowledge = sources_of(mirror).read(GENES, ("name", "go"))
    rows, left_out = describe(knowledge, of_terms(before="2024-01-01"), words)
    assert rows.select("symbol", "text").rows() == [("G1", "gene one. term 2")]
    assert rows["parts"].to_list() == [["name@hgnc-test 1/1", "go<2024-01-01@goa-2024-06-10 1/1"]]
    assert left_out.select("symbol", "reason").rows() == [("G2", "has no go before 2024-01-01")]
    rows, _ = describe(knowledge, of_terms(before="2024-01-02"), words)
    assert rows["text"].to_list() == ["gene one. term 1; term 2"], "term 1 is of one gene then"
    rows, _ = describe(knowledge, of_terms(), words)
    assert rows["text"].to_list() == ["gene one. term 2; term 1", "gene two. term 1"]


def test_a_source_without_dates_refuses_to_tell_what_was_said_before_a_day(mirror: Path):
    refusal = sources_of(None).unavailable(of_terms(before="2024-01-01"))
    assert refusal == (
        "go<2024-01-01 asks for dates of annotations, which the packaged Gene Ontology lacks: run "
        "`genept sources fetch goa-human go-basic`, or name a mirror that has it"
    )
    assert sources_of(mirror).unavailable(of_terms(before="2024-01-01")) is None
    with pytest.raises(ValueError, match="'name' has no aspects, no evidence and no dates; only"):
        Recipe.model_validate(
            of_terms().model_dump() | {"parts": [{"part": "name", "before": "2024-01-01"}]}
        )


def test_what_has_no_source_says_where_to_put_it():
    sources = sources_of(None)
    recipes = load_recipes()
    unavailable = {id_ for id_, recipe in recipes.items() if sources.unavailable(recipe)}
    packaged = {"symbol", "name", "biotype", "go"}
    assert {"ncbi", "ncbi-uniprot"} <= unavailable
    assert unavailable == {
        id_
        for id_, recipe in recipes.items()
        if not {*recipe.requires, *recipe.needs_source} <= packaged
        or any(use.before for use in recipe.parts)
    }
    assert "name-go-before-2024" in unavailable
    assert "genept sources fetch uniprot-human" in str(sources.unavailable(recipes["ncbi-uniprot"]))
    assert set(sources.inputs(recipes["full"].part_names)) == {"pyiomica"}


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("A kinase. [provided by RefSeq, Jul 2008].", "A kinase."),
        ("A kinase. [supplied by OMIM, Mar 2008]", "A kinase."),
        ("Dystrophy 14. provided by RefSeq, Jul 2020]. More.", "Dystrophy 14. More."),
        ("Sclerosis (PMID: 19525953, 21849685). Next", "Sclerosis. Next"),
        ("HDAC3 (Zhang et al., PMID: 15805470).", "HDAC3."),
        ("see PMID: 15810881, 19945614. Mutations", "see. Mutations"),
        ("found at https://www.ncbi.nlm.nih.gov/gene/1 and", "found at and"),
        ("which is supplied by v-SNARE and", "which is supplied by v-SNARE and"),
    ],
)
def test_links_and_dates_go(text: str, tidy: str):
    assert tidy_summary(text) == tidy


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public sources is not here")
def test_the_real_summaries_are_tidied_and_split_without_loss():
    entrez = [str(number) for number in range(1, 6000)]
    genes = reference_of(*(gene(int(id_), f"G{id_}") for id_ in entrez))
    knowledge = published_genes(genes)
    facts = sources_of(MIRROR).read(knowledge, ("summary",)).facts["summary"]
    texts = facts.group_by("ensembl_gene_id").agg(pl.col("item").str.join(" "))["item"]
    assert len(texts) > 3_000
    assert not texts.str.contains(r"PMID|provided by RefSeq|https?://").any()
    assert all(" ".join(sentences(text)) == text for text in texts)
