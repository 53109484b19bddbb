# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A Dagster engineer looks in
#
# All that a release is made of are Dagster assets; `genept ui` shows them in a browser. This
# notebook loads the same definitions, looks at what hangs on what, materialises one partition,
# and reads what its check found.

# %%
import dagster as dg
import polars as pl

from genept.common import Settings
from orchestration.definitions import build_defs
from orchestration.instance import dagster_home, register_partitions

pl.Config.set_tbl_hide_dataframe_shape(True).set_fmt_str_lengths(80).set_tbl_rows(30)

settings = Settings()  # of the folder's genept.toml
defs = build_defs(settings)
graph = defs.resolve_asset_graph()
assets = pl.DataFrame(
    {
        "group": [graph.get(key).group_name for key in graph.materializable_asset_keys],
        "asset": [key.to_user_string() for key in graph.materializable_asset_keys],
    }
)
assets.group_by("group").agg(pl.len().alias("assets"), pl.col("asset").sort().head(4)).sort("group")

# %% [markdown]
# ## What hangs on what
#
# Each published table is an asset, with a check between itself and what reads it. The vectors of
# cells hang on:

# %%
cells = graph.get(dg.AssetKey("cell_embeddings"))
sorted(key.to_user_string() for key in cells.parent_keys)

# %% [markdown]
# ## The instance
#
# It stands under the state folder, and knows the run by which the release was made.

# %%
dagster_home(settings)
instance = dg.DagsterInstance.get()
pl.DataFrame(
    [
        {"run": record.dagster_run.run_id[:8], "job": record.dagster_run.job_name}
        | {"status": record.dagster_run.status.value}
        | {"seconds": round((record.end_time or 0) - (record.start_time or 0))}
        for record in instance.get_run_records(limit=5)
    ]
)

# %% [markdown]
# ## One partition
#
# Collections are partitions of `ingested_collection`: one is ingested without touching the
# others. `prostate` is in the catalogue and not in this folder's settings. Nothing is published
# by it; the lake remembers it, and the next run that wants the collection takes it from there.

# %%
register_partitions(instance, collections=["pbmc-hao", "prostate"], spaces=list(settings.spaces))
job = defs.resolve_implicit_global_asset_job_def()
result = job.execute_in_process(
    instance=instance,
    asset_selection=[dg.AssetKey("ingested_collection")],
    partition_key="prostate",
)
assert result.success

(event,) = result.get_asset_materialization_events()
metadata = event.step_materialization_data.materialization.metadata
pl.DataFrame(
    {"metadata": list(metadata), "value": [str(value.value)[:80] for value in metadata.values()]}
)

# %% [markdown]
# ## Its check
#
# Which rules hold is made from the declaration of the tables. A check that fails blocks what
# reads the asset, and says which rows of which column.

# %%
(check,) = result.get_asset_check_evaluations()
assert check.passed
assert check.check_name == "keeps_its_declaration"
assert check.partition == "prostate"
print(check.check_name, "passed" if check.passed else "failed", "in partition", check.partition)

# %% [markdown]
# Materialised again, it is taken from the lake: a step is known by its code, inputs and settings,
# and is made once.

# %%
again = job.execute_in_process(
    instance=instance,
    asset_selection=[dg.AssetKey("ingested_collection")],
    partition_key="prostate",
)
(event_again,) = again.get_asset_materialization_events()


def version(materialized: dg.DagsterEvent) -> str | None:
    """The data version that Dagster shows."""
    tags = materialized.step_materialization_data.materialization.tags or {}
    return tags.get("dagster/data_version")


assert version(event) == version(event_again) is not None
version(event)

# %% [markdown]
# ## When it runs
#
# `genept ui` starts the daemon, too. Schedules and sensors are off until somebody switches them
# on, or the setting `unattended` is set.

# %%
repository = defs.get_repository_def()
pl.DataFrame(
    [
        {"name": schedule.name, "when": schedule.cron_schedule}
        for schedule in repository.schedule_defs
    ]
    + [{"name": sensor.name, "when": "sensor"} for sensor in repository.sensor_defs]
)
