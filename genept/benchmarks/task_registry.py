"""Every task on genes. To add one, write its class and name it here; see CONTRIBUTING."""

from __future__ import annotations

from functools import partial
from typing import Final

from genept.benchmarks.gene_tasks import KindTask, MembershipTask, PropertyTask
from genept.benchmarks.label_tables import GO_TERMS, PATHWAYS
from genept.benchmarks.pair_tasks import DISJOINT, InteractionTask, PairTask
from genept.benchmarks.task_base import LOGISTIC, Task
from genept.datasources import GENE_PAIRS, LIGAND_RECEPTOR, PROTEIN_PAIRS

_memberships = partial(MembershipTask, metrics=("mean_auroc",), clean="5-fold-genes", model="ridge")
_interactions = partial(
    InteractionTask,
    metrics=("auroc",),
    clean=DISJOINT,
    model=f"{LOGISTIC}:all-symmetric",
    stated_by=("interactions",),
)

_TASKS: tuple[Task, ...] = (
    PropertyTask(
        id="dosage-sensitivity",
        dataset="dosage-sensitive-tfs",
        title="Dosage-sensitive transcription factors",
        positive="sensitive",
    ),
    PropertyTask(
        id="bivalent-vs-lys4",
        dataset="bivalent-genes",
        title="Bivalent against Lys4-only methylated promoters",
        positive="bivalent",
    ),
    PropertyTask(
        id="bivalent-vs-unmethylated",
        dataset="unmethylated-promoters",
        title="Bivalent against non-methylated promoters",
        positive="bivalent",
    ),
    PropertyTask(
        id="tf-range",
        dataset="tf-range",
        title="Long- against short-range transcription factors",
        positive="long",
    ),
    PropertyTask(
        id="haploinsufficiency",
        dataset="cnvoyant",
        title="Haploinsufficient genes (ClinGen) against recessive and tolerant ones",
        positive="haploinsufficient",
        published=False,
        further_draws=2,
        stated_by=("disease",),
    ),
    KindTask(
        id="gene-type",
        dataset="gene-types",
        title="Kind of gene, of those with more than 75 genes",
        metrics=("balanced_accuracy", "accuracy"),
        clean="stratified-70-30-repeated",
    ),
    _memberships(
        id=GO_TERMS,
        dataset="pyiomica",
        title="Membership in Gene Ontology processes",
        draws=1,  # a mean over many terms hardly moves from draw to draw
        stated_by=("go",),
    ),
    _memberships(
        id=PATHWAYS,
        dataset="reactome-genes",
        title="Membership in Reactome pathways",
        draws=1,
        stated_by=("pathways",),
    ),
    _memberships(
        id="chromosome",
        dataset="gencode-v49-genes",
        title="Chromosome of protein-coding genes, which texts should hardly know",
        largest=100_000,
    ),
    PairTask(
        id=GENE_PAIRS,
        dataset="gene2vec",
        title="Gene–gene interaction, Gene2vec's pairs",
        metrics=("auroc",),
        clean=DISJOINT,
    ),
    _interactions(
        id=PROTEIN_PAIRS,
        dataset="scnet",
        title="Protein–protein interaction, against drawn pairs of the same proteins",
    ),
    _interactions(
        id=LIGAND_RECEPTOR,
        dataset="liana",
        title="Ligands and their receptors, against drawn pairs of the same genes",
        seeds=tuple(range(5)),
    ),
)

TASKS: Final[dict[str, Task]] = {task.id: task for task in _TASKS}
"""Tasks by id, in the order of the leaderboard."""
