"""Pairs of transcription factors and targets with the publisher's nested folds.

The file is optional: it is read where it is cached or in a mirror's folder. What a name means, and
what becomes of a row, is `genept.benchmarks.label_tables`; who is trained on what, and tested, is
`genept.benchmarks.split_tasks`.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.common import SourceError
from genept.datasources.download import Opener

NESTED_SOURCE: Final = "tf-target-folds"
NESTED_PAIRS: Final = "tf-targets"
"""The task that the pairs are of."""

TEST_ROLE: Final = "test"
UNUSED_ROLE: Final = "unused"
"""Roles of a pair in an outer fold, beside those inside its training pairs: see `NestedPair`."""

Index = Annotated[int, Field(ge=0)]


class NestedPair(NamedTuple):
    """One row: a pair, whether it belongs together, and its role in every outer fold.

    Parameters
    ----------
    first, second
        NCBI Gene ids.
    label
        1 if one regulates the other.
    roles
        One of each outer fold, with a bar between: ``test``; ``unused`` (one gene is trained on and
        the other tested); of a training pair, ``validation-2`` (scored in the second inner fold and
        trained on in the others), ``training-2`` (trained on in that inner fold alone) or
        ``training`` (in no inner fold).
    """

    first: str
    second: str
    label: int
    roles: str


class _Fold(BaseModel):
    """Positions of pairs in one outer fold."""

    model_config = ConfigDict(extra="forbid")

    train_idx: list[Index]
    test_idx: list[Index]
    inner_splits: list[tuple[list[Index], list[Index]]] = Field(min_length=2)


class _Folds(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid")

    pairs: list[
        tuple[Annotated[str, Field(pattern=r"^\d+$")], Annotated[str, Field(pattern=r"^\d+$")]]
    ]
    labels: list[Literal[0, 1]]
    cv_splits: dict[str, _Fold] = Field(min_length=2)


def read_nested_pairs(opener: Opener, what: str) -> Iterator[NestedPair]:
    """Read the file of pairs with nested folds.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Yields
    ------
    NestedPair
        One per pair, in the order of the file.

    Raises
    ------
    SourceError
        It is not JSON of this layout; or a gene is in pairs of both sides of a split, so that a
        head would be tested on a gene that it was trained on.
    """
    try:
        with opener() as stream:
            folds = _Folds.model_validate_json(stream.read())
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise SourceError(f"{what}: at {place}: {problem['msg']}") from error
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{what}: is not JSON: {error}") from error
    if len(folds.pairs) != len(folds.labels):
        raise SourceError(
            f"{what}: has {len(folds.pairs)} pairs and {len(folds.labels)} labels; expected as many"
        )
    roles = [
        _roles(fold, np.array(folds.pairs), f"{what}: outer fold {name}")
        for name, fold in folds.cv_splits.items()
    ]
    for (first, second), label, *of_pair in zip(folds.pairs, folds.labels, *roles, strict=True):
        yield NestedPair(first, second, label, "|".join(of_pair))


def _roles(fold: _Fold, pairs: NDArray[np.str_], where: str) -> list[str]:
    """Role of every pair in one outer fold."""
    training, test = _members(fold.train_idx, pairs, where), _members(fold.test_idx, pairs, where)
    _refuse_shared(pairs, training, test, where)
    roles = np.where(test, TEST_ROLE, np.where(training, "training", UNUSED_ROLE)).astype("<U32")
    inner = []
    for number, sides in enumerate(fold.inner_splits, start=1):
        within = f"{where}, inner fold {number}"
        inside, outside = (_members(side, pairs, within) for side in sides)
        if (~training & (inside | outside)).any():
            raise SourceError(f"{within}: has pairs that are not among the outer training pairs")
        _refuse_shared(pairs, inside, outside, within)
        inner.append((inside, outside))
    n_inside = np.sum([inside for inside, _ in inner], axis=0)
    n_outside = np.sum([outside for _, outside in inner], axis=0)
    for number, (inside, outside) in enumerate(inner, start=1):
        roles[outside & (n_outside == 1) & (n_inside == len(inner) - 1)] = f"validation-{number}"
        roles[inside & (n_outside == 0) & (n_inside == 1)] = f"training-{number}"
    odd = np.flatnonzero((roles == "training") & (n_inside + n_outside > 0))
    if odd.size:
        raise SourceError(
            f"{where}: pair {odd[0]} is in {n_inside[odd[0]]} inner folds to train on and in "
            f"{n_outside[odd[0]]} to score; expected one of both sorts at most"
        )
    return [str(role) for role in roles]


def _members(positions: Sequence[int], pairs: NDArray[np.str_], where: str) -> NDArray[np.bool_]:
    """Which pairs are at these positions."""
    members = np.zeros(len(pairs), dtype=np.bool_)
    if beyond := [position for position in positions if position >= len(pairs)]:
        raise SourceError(f"{where}: names pair {beyond[0]} of {len(pairs)}")
    members[positions] = True
    return members


def _refuse_shared(
    pairs: NDArray[np.str_], side: NDArray[np.bool_], other: NDArray[np.bool_], where: str
) -> None:
    """Refuse two sides that share a gene."""
    if shared := np.intersect1d(pairs[side], pairs[other]).tolist():
        raise SourceError(
            f"{where}: gene {shared[0]} is in pairs of both sides; expected folds without a "
            "common gene"
        )
