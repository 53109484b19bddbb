# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A scientist chooses a text model
#
# Which text model is better for a task? A release scores every space on every task that it has
# the data for, with an interval, beside controls that know less: random vectors, shuffled texts,
# words without a model, expression alone. This release holds two models that read the same texts:
# word vectors of wordllama, and words counted and reduced (LSA).

# %%
import matplotlib.pyplot as plt
import polars as pl

import genept

pl.Config.set_tbl_hide_dataframe_shape(True).set_fmt_str_lengths(60).set_tbl_rows(20)

scores = genept.load_table("benchmark_results").collect()
scores.group_by("task").agg(
    pl.col("dataset").unique().sort().str.join(", "),
    pl.col("representation").n_unique().alias("representations"),
    pl.col("is_control").sum().alias("rows of controls"),
).sort("task")

# %% [markdown]
# ## Genes: which proteins interact
#
# No gene of the test was seen in training. The score is an AUC: .5 is guessing.

# %%
asked = (pl.col("task") == "protein-interaction") & (pl.col("metric") == "auroc")
asked &= pl.col("model").str.ends_with("all-symmetric")
genes = scores.filter(asked).sort("value", descending=True)
genes.select("representation", "value", "ci_low", "ci_high", "n", "is_control")

# %%
figure, axes = plt.subplots(figsize=(7, 4))
shown = genes.sort("value")
columns = shown.select("value", "ci_low", "ci_high", "is_control")
for row, (value, low, high, is_control) in enumerate(columns.iter_rows()):
    colour = "0.6" if is_control else "C0"
    axes.plot([low, high], [row, row], color=colour)
    axes.plot(value, row, "o", color=colour)
axes.set_yticks(range(shown.height), shown["representation"])
axes.axvline(0.5, color="0.8", zorder=0)
axes.set_xlabel("AUC, 95 % interval; grey: controls")
figure.tight_layout()

# %% [markdown]
# Intervals of two models that overlap do not say that the models are equal: both were asked about
# the same pairs. What decides is the interval of the paired difference, corrected over all
# comparisons.

# %%
pairs = genept.load_table("benchmark_comparisons").collect()
pairs = pairs.filter(task="protein-interaction", metric="auroc")
texts = genes.filter(~pl.col("is_control"))["representation"].to_list()
between_texts = pl.col("representation").is_in(texts) & pl.col("other").is_in(texts)
pairs.filter(between_texts).select(
    "representation", "other", "difference", "ci_low", "ci_high", "p_holm", "separable"
)

# %% [markdown]
# Here the two models are not separable: the interval of their difference holds 0. Side by side,
# as the ensemble that a release makes of its spaces, they are better than the word vectors alone.

# %%
models = {"lsa-384/name-go", "wordllama-256/name-go"}
(between,) = pairs.filter(
    pl.col("representation").is_in(models) & pl.col("other").is_in(models)
).iter_rows(named=True)
assert not between["separable"]
assert between["ci_low"] < 0 < between["ci_high"]

# %% [markdown]
# And each text against the best of its controls:

# %%
against_controls = pairs.filter(~between_texts & pl.col("representation").is_in(texts))
least = against_controls.sort("difference").unique(
    "representation", keep="first", maintain_order=True
)
assert {*least["representation"]} == {*texts}
assert least["separable"].all()
least.select("representation", "other", "difference", "ci_low", "p_holm", "separable")

# %% [markdown]
# ## Cells: which type
#
# Cells of donors that the training did not have. Here the control to beat is the expression
# itself.

# %%
asked = (pl.col("task") == "cell-type-annotation") & (pl.col("metric") == "macro_f1")
asked &= pl.col("split") == "leave-group-out-5-fold"
cells = scores.filter(asked).sort("value", descending=True)
cells.select("representation", "value", "ci_low", "ci_high", "is_control")

# %% [markdown]
# ## What follows
#
# Each text model is far better than guessing and than permuted labels, and neither comes near the
# principal components of the expression where labels abound. Text is worth something where
# nothing was measured; and which text model is taken matters less than that its score stands
# beside its controls.

# %%
best_text = cells.filter(~pl.col("is_control")).row(0, named=True)
by_name = {row["representation"]: row for row in cells.iter_rows(named=True)}
expression = by_name["expression-pca-50"]
assert best_text["ci_low"] > by_name["majority-class"]["ci_high"]
assert best_text["ci_high"] < expression["ci_low"]

in_view = genept.sql("""
    SELECT DISTINCT control FROM scores_with_controls
    WHERE task = 'cell-type-annotation' AND metric = 'macro_f1' AND split = 'leave-group-out-5-fold'
""")
assert in_view["control"].to_list() == ["expression-pca-50"]
print(f"best text {best_text['value']:.2f}, expression {expression['value']:.2f}")
