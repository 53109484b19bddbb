"""What editing takes and gives: options, how vectors are scored, and what came of each edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from genept.language_models.self_editing.drafts import Draft
from genept.language_models.self_editing.edits import Edit

Matrix = NDArray[np.float32]
Vectors = Mapping[str, Matrix]
"""Vector of each gene, by Ensembl id."""

Embed = Callable[[Sequence[str]], Matrix]
"""Texts to their vectors, of unit length."""


class Scorer(Protocol):
    """Scores vectors of genes on tasks."""

    @property
    def rewarded(self) -> Sequence[str]:
        """Tasks whose scores decide what is kept."""

    @property
    def others(self) -> Sequence[str]:
        """Tasks that decide nothing, on which forgetting is measured, too."""

    @property
    def training_genes(self) -> frozenset[str]:
        """Genes of the rewarded tasks that may be looked at."""

    @property
    def genes(self) -> frozenset[str]:
        """Every gene of every task."""

    def score(self, task: str, vectors: Vectors, *, permuted: bool = False) -> float:
        """Score on the training genes of a task, out of their folds; or with permuted labels."""


class EditOptions(BaseModel):
    """How long is edited, and how boldly.

    Parameters
    ----------
    rounds, proposals
        Rounds, and edits that are tried in each.
    shuffled
        Shuffled edits of a round: the same genes, with lines at random, as many as after an edit.
    fewest_genes
        An edit that changes fewer training genes is not tried.
    seed
        Of shuffles and of the order of proposals.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(3, ge=1)
    proposals: int = Field(12, ge=1)
    shuffled: int = Field(6, ge=1)
    fewest_genes: int = Field(20, ge=1)
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class Tried:
    """An edit that was tried.

    Parameters
    ----------
    round, edit
        When and what.
    n_genes
        Training genes whose text it changes.
    example
        One of them.
    before, after, evidence
        Its text, and the lines of its evidence.
    reward, noise
        Change of the mean score of the rewarded tasks; what it has to exceed: the best of the
        round's shuffled edits, and the mean size of the changes with permuted labels.
    permuted
        The change with permuted labels.
    kept, why
        Whether it was kept, and the reason.
    """

    round: int
    edit: Edit
    n_genes: int
    example: str
    before: str
    after: str
    evidence: tuple[str, ...]
    reward: float
    noise: float
    permuted: float
    kept: bool
    why: str


class TaskScore(NamedTuple):
    """Score of a task after a round; round 0 is before the first edit."""

    round: int
    task: str
    is_rewarded: bool
    value: float


@dataclass
class Edited:
    """What came of the editing.

    Parameters
    ----------
    plan
        The kept edits, in order: applied to the first draft of any gene they give its text.
    tried
        Every edit that was tried.
    scores
        Scores of every task after every round.
    before, after
        Vectors of every gene of the tasks.
    drafts
        Last drafts of these genes.
    """

    plan: list[Edit] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    scores: list[TaskScore] = field(default_factory=list)
    before: dict[str, Matrix] = field(default_factory=dict, repr=False)
    after: dict[str, Matrix] = field(default_factory=dict, repr=False)
    drafts: dict[str, Draft] = field(default_factory=dict, repr=False)
