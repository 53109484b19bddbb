# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A cohort of your own
#
# A table of counts as R writes it, and a table of what is known of the samples. The ingest is
# tried out before anything is stored; then a run publishes the cohort, trains a model on it, and
# has it say something of patients that it never saw.
#
# In place of your file this notebook writes one: counts of 14 pairs of prostate tumours and
# adjacent tissue (Ren 2012, E-MTAB-567, CC BY 4.0), as the catalogue has them.

# %%
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

import genept
from genept.client import Platform
from genept.common import Settings
from genept.storage import StoredTable

pl.Config.set_tbl_hide_dataframe_shape(True).set_fmt_str_lengths(80).set_tbl_rows(20)

platform = Platform(Settings())
parts = platform.ingest(platform.catalogue.collections["prostate"])
observations, expression, axis = (
    platform.lake.read(StoredTable.of(name, parts))
    for name in ("observations", "expression", "gene_axis")
)
counts = np.zeros((axis.height, expression.height), dtype=np.int64)
for column, (index, value) in enumerate(expression.select("gene_index", "value").iter_rows()):
    counts[index, column] = value

# %% [markdown]
# ## A file with R's habits
#
# `write.table` leaves out the name over the row names, so that the header is one field short. R's
# data frames turn a sample `10T` into `X10T`, which the table of samples still calls `10T`. And a
# spreadsheet on the way has made a date of a gene.

# %%
samples = expression.select("observation_id").join(observations, on="observation_id")
names = [f"{row['group_id']}{row['diagnosis'][0].upper()}" for row in samples.iter_rows(named=True)]
lines = ["\t".join(f'"X{name}"' for name in names)]
seen = set()
for symbol, row in zip(axis["symbol"], counts, strict=True):
    if symbol not in seen and not symbol.startswith("ENSG") and row.sum() >= 50:
        seen.add(symbol)
        written = "2-Sep" if symbol == "SEPTIN2" else symbol
        lines.append("\t".join([f'"{written}"', *map(str, row)]))
Path("counts.txt").write_text("\n".join(lines) + "\n", "utf-8")

sheet = pl.DataFrame(
    {"sample": names, "patient": samples["group_id"], "what": samples["diagnosis"]}
)
sheet.write_csv("samples.csv")
print(lines[0][:50], lines[1][:50], *Path("samples.csv").read_text().split()[:3], sep="\n")

# %% [markdown]
# ## Tried out
#
# `validate` finds out the format, the unit and which axis is genes, maps every gene name, and
# stores nothing.


# %%
def command(*words: str, **settings: str) -> str:
    """Run `genept` as from a shell, and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-m", "genept.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"FORCE_COLOR": ""} | settings,  # the kernel asks for colours
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


of_the_samples = ("--metadata", "samples.csv", "--label", "diagnosis=what", "--group", "patient")
print(command("collections", "validate", "counts.txt", *of_the_samples))

# %% [markdown]
# ## Added, and published with the rest
#
# `--yes` answers the question that `add` asks last. The settings of this folder name one
# collection; the run takes both.

# %%
added = command(
    *("collections", "add", "counts.txt", "--id", "my-cohort", *of_the_samples, "--yes"),
    *("--title", "Prostate, in pairs", "--licence", "CC-BY-4.0", "--redistributable"),
)
command("run", GENEPT_COLLECTIONS=json.dumps(["pbmc-hao", "my-cohort"]))
mine = genept.load_table("observations", collection_id="my-cohort").collect()
assert mine.height == 28
assert mine["group_id"].n_unique() == 14
mine.select("observation_id", "group_id", "diagnosis", "disease_ontology_term_id").head(4)

# %% [markdown]
# What became of the names of the genes:

# %%
mapping = genept.load_table("gene_mapping", collection_id="my-cohort").collect()
(date,) = mapping.filter(input_id="2-Sep").iter_rows(named=True)
assert date["outcome"] == "spreadsheet_date"
print(f"{date['input_id']}: {date['ensembl_gene_id']}, {date['evidence']}")
mapping["outcome"].value_counts(sort=True)

# %% [markdown]
# ## Predicted
#
# Two diagnoses of at least twelve patients each make a task without further ado. A patient's
# samples are predicted by a model that was trained without that patient.

# %%
predictions = genept.load_table("diagnosis_predictions").collect()
shown = predictions.filter(pl.col("representation") == "selected")
shown.select("observation_id", "label", "prediction", "probability", "abstained").head(8)

# %% [markdown]
# Beside the score stand its controls; expression alone is one of them.

# %%
scores = genept.load_table("model_evaluations").collect()
scores = scores.filter(
    (pl.col("metric") == "balanced_accuracy")
    & ~pl.col("split").str.starts_with("holdout")
    & pl.col("representation").is_in(
        ["selected", "expression", "permuted-labels", "majority-class"]
    )
)
by_name = {row["representation"]: row for row in scores.iter_rows(named=True)}
assert by_name["selected"]["ci_low"] > by_name["permuted-labels"]["ci_high"]
scores.select("representation", "value", "ci_low", "ci_high", "n", "is_control").sort(
    "value", descending=True
)

# %% [markdown]
# A perfect score of 24 samples is no reason to use a model: the promotion gate refuses it, and
# says why. `genept predict diagnosis` asks champions only, and here there is none.

# %%
verdicts = genept.load_table("gate_verdicts").collect()
assert "refuse" in verdicts["outcome"].to_list()
verdicts.filter(pl.col("outcome") != "pass").select("name", "outcome", "evidence")
