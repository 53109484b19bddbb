"""What a step of one collection reads: its tables, its vectors, and those of genes."""

import dagster as dg

from assets.collections import INGESTED
from assets.embeddings import VECTORS
from assets.partitions import along
from assets.text_spaces import SPACE_VECTORS

OF_COLLECTION = {
    INGESTED.path[-1]: dg.AssetIn(),
    VECTORS.path[-1]: along("collection"),
    SPACE_VECTORS.path[-1]: dg.AssetIn(partition_mapping=dg.AllPartitionMapping()),
}
"""Inputs by name; of several partitions those that were materialised."""
