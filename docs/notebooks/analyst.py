# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # An analyst reads a release
#
# A release is plain parquet. This notebook opens one with polars and with DuckDB, asks for the
# genes nearest to FOXP3, and finds cells by a term of the Cell Ontology instead of by a label. It
# runs in the folder of `genept demo`.

# %%
import polars as pl

import genept

pl.Config.set_tbl_hide_dataframe_shape(True).set_fmt_str_lengths(60)

release = genept.releases()[-1]
release

# %% [markdown]
# ## Genes near a gene
#
# A space is a text model and a recipe: here word vectors of each gene's name and Gene Ontology
# terms. Vectors have unit length, so a product is a cosine.

# %%
space = "wordllama-256/name-go"
genes = genept.load_table("gene_embeddings", space=space).collect()
vectors = genes["embedding"].to_numpy()
foxp3 = vectors[genes["symbol"].to_list().index("FOXP3")]
nearest = (
    genes.select("symbol", cosine=pl.Series(vectors @ foxp3))
    .filter(pl.col("symbol") != "FOXP3")
    .top_k(10, by="cosine")
)
nearest

# %% [markdown]
# What the texts say that made them near:

# %%
texts = genept.load_table("gene_descriptions", recipe="name-go").collect()
texts.join(nearest.head(3), on="symbol").select("symbol", "text")

# %% [markdown]
# The same question in SQL. The catalogue of the release has the tables and some views, such as
# `gene_vectors`; no file is named.

# %%
in_sql = genept.sql(f"""
    WITH vectors AS (FROM gene_vectors WHERE space = '{space}')
    SELECT v.symbol, list_cosine_similarity(v.embedding, asked.embedding) AS cosine
    FROM vectors AS v, (FROM vectors WHERE symbol = 'FOXP3') AS asked
    WHERE v.symbol <> 'FOXP3'
    ORDER BY cosine DESC LIMIT 10
""")
assert in_sql["symbol"].to_list() == nearest["symbol"].to_list()
assert "IRF1" in in_sql["symbol"].to_list()

# %% [markdown]
# ## Cells by what their labels mean
#
# Authors name cell types as they like. Beside each label stands the ontology term that it means,
# and `ontology_terms` has what lies above a term: all T cells are those whose term is a T cell
# (`CL:0000084`) or lies below it.

# %%
t_cells = genept.sql("""
    SELECT cell_type, cell_type_term, cell_type_ontology_term_id AS term, count(*) AS cells
    FROM labelled_observations JOIN ontology_terms ON cell_type_ontology_term_id = term_id
    WHERE term_id = 'CL:0000084' OR list_contains(ancestors, 'CL:0000084')
    GROUP BY ALL ORDER BY cells DESC, cell_type
""")
assert {"T cells CD8", "Tregs"} <= set(t_cells["cell_type"])
assert "B cells" not in set(t_cells["cell_type"])
t_cells

# %% [markdown]
# ## A cell's vector
#
# A cell is the mean of its genes' vectors, weighted by expression. The ten cells nearest to a B
# cell, of 1,336:

# %%
observations = genept.load_table("observations", collection_id="pbmc-hao").collect()
cells = (
    genept.load_table("cell_embeddings", space=space, collection_id="pbmc-hao")
    .filter(pl.col("method") == "genept-w")
    .collect()
    .join(observations, on="observation_id")
)
matrix = cells["embedding"].to_numpy()
b_cell = cells["cell_type"].to_list().index("B cells")
near = cells.select("observation_id", "cell_type", cosine=pl.Series(matrix @ matrix[b_cell]))
near.top_k(11, by="cosine").tail(10)["cell_type"].value_counts(sort=True)

# %% [markdown]
# Over all cells: how often the nearest other cell is of the same type, beside what guessing would
# give.

# %%
cosines = matrix @ matrix.T
for own in range(len(cosines)):
    cosines[own, own] = -1
types = cells["cell_type"].to_numpy()
agreement = float((types[cosines.argmax(axis=1)] == types).mean())
by_chance = float((cells["cell_type"].value_counts()["count"] / cells.height).pow(2).sum())
assert agreement > 4 * by_chance
print(f"{agreement:.2f}, by chance {by_chance:.2f}")
