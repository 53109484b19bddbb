# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A drug that nobody screened
#
# Which cell lines would a drug act on more, and which less, that no screen has measured? What is
# known of it is a gene that it acts on. The screen is GDSC2; the drug is encorafenib, an
# inhibitor of BRAF that GDSC2 does not have.
#
# With a released model of the screen it is one command, on samples of your own: `genept predict
# drugs my.csv --new-drug encorafenib --targets BRAF`. This notebook does it by the library, step
# by step, and without a release: every step is remembered in the lake.

# %%
import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from genept.client import Platform
from genept.common import Settings
from genept.embeddings import CollectionParts, read_spaces
from genept.models.unscreened_drugs import SPACES, Drugs, UnscreenedModel, expression_screen
from genept.nomenclature import build_reference_table
from genept.storage import StoredTable

pl.Config.set_tbl_hide_dataframe_shape(True).set_fmt_str_lengths(80).set_tbl_rows(20)

platform = Platform(Settings())
lake, gdsc = platform.lake, platform.catalogue.collections["gdsc"]
parts = platform.ingest(gdsc)
tables = {name: StoredTable.of(name, parts) for name in {part.table for part in parts}}
responses = lake.read(tables["drug_responses"])
responses.select(pl.len().alias("responses"), pl.col("observation_id", "drug_id").n_unique())

# %% [markdown]
# ## What is known of the drugs
#
# Targets come from the lists that are available, mapped to Ensembl genes; a target that names no
# gene says so.

# %%
genes = build_reference_table(lake, platform.archives, "genes").part()
listed = platform.drug_parts(genes, tables["drug_responses"])
drugs, targets = (lake.read(StoredTable.of(name, listed)) for name in ("drugs", "drug_targets"))
on_braf = targets.filter(member="BRAF")
braf = on_braf["ensembl_gene_id"][0]
measured = sorted({*on_braf["drug_id"]} & {*responses["drug_id"]})
assert "encorafenib" not in {name.lower() for name in responses["drug_id"].unique()}
assert "Dabrafenib" in measured
measured

# %% [markdown]
# ## What is known of the genes
#
# Drugs are compared by the vectors of their targets, in a space of text and one of the Gene
# Ontology. A space whose sources are not available is left out, and nothing takes its place.

# %%
recipes = [platform.recipes[space.partition("/")[2]] for space in SPACES[:1]]
recipes = [recipe for recipe in recipes if not platform.knowledge.unavailable(recipe)]
texts = StoredTable.of("gene_descriptions", platform.describe(genes, recipes))
vectors = read_spaces(lake, platform.available_vectors(SPACES, texts, print), SPACES)
sorted(vectors)

# %% [markdown]
# ## The profile
#
# Predicted is what the drug does to a line beyond the means of drug and line, in standard
# deviations: below 0 is more sensitive. It never says a concentration.

# %%
screen = expression_screen(
    lake,
    gdsc,
    CollectionParts(
        observations=tables["observations"].part("gdsc"),
        axis=tables["gene_axis"].part("gdsc"),
        expression=tuple(tables["expression"].parts),
        embeddings={},
    ),
    tables["drug_responses"].part("gdsc"),
).rows
known = Drugs.of(drugs, targets, screen.drugs.tolist())
asked = known.with_drug("encorafenib", frozenset({braf}), None)
model = UnscreenedModel(screen, asked, vectors)
profile = model.profiles[0]
print("compared by", model.compared_by, "- nearest:", ", ".join(model.evidence(0)))

lines = pl.DataFrame({"line": screen.ids, "tissue": screen.tissues, "prediction": profile})
by_tissue = (
    lines.group_by("tissue")
    .agg(pl.mean("prediction"), pl.len().alias("lines"))
    .filter(pl.col("lines") >= 20)
    .sort("prediction")
)
assert by_tissue["tissue"][0] == "skin"
by_tissue.head(5)

# %% [markdown]
# Skin comes first, as for the inhibitors of BRAF that are used in melanoma. Nothing that was read
# says which lines carry the mutation.
#
# ## Is it worth anything
#
# Ask of a drug that was measured as if it had not been. Trametinib acts on MEK1 and MEK2, and
# there are other drugs on these genes in the screen: that is the easy case. Left out are its own
# responses.

# %%
place = screen.drugs.tolist().index("Trametinib")


def without(names: set[str]) -> np.ndarray:
    """Profile of a drug on Trametinib's targets; of drugs with these names nothing is known."""
    blanked = Drugs(
        known.names,
        known.synonyms,
        tuple(
            frozenset() if name in names else among
            for name, among in zip(known.names, known.targets, strict=True)
        ),
        tuple(
            None if name in names else smiles
            for name, smiles in zip(known.names, known.smiles, strict=True)
        ),
        known.pathways,
    )
    target = known.targets[place]
    return UnscreenedModel(screen, blanked.with_drug("asked", target, None), vectors).profiles[0]


others = model.training[model.training != place]
seen = model.responses.measured[place]
truth = model.responses.deviation[place] - model.responses.line_means(others)
shares = {
    name
    for name, among in zip(known.names, known.targets, strict=True)
    if among & known.targets[place]
}
easy, hard = without({"Trametinib"}), without(shares)
correlations = {
    "other drugs on its targets are known": float(np.corrcoef(truth[seen], easy[seen])[0, 1]),
    "no drug on its targets is known": float(np.corrcoef(truth[seen], hard[seen])[0, 1]),
}
assert correlations["other drugs on its targets are known"] > 0.4
correlations

# %%
figure, axes = plt.subplots(figsize=(5, 4))
axes.scatter(easy[seen], truth[seen], s=6, alpha=0.5)
axes.set_xlabel("predicted, of drugs on the same targets")
axes.set_ylabel("measured")
axes.set_title("Trametinib over lines; below 0: more sensitive")
figure.tight_layout()

# %% [markdown]
# One drug shows how it is done and proves nothing. Over all drugs of GDSC2, with intervals,
# controls and what it does not show: [drugs](../drugs.md#drugs-that-nobody-screened), and table
# `unscreened_drug_scores` of a release that has the screen.
