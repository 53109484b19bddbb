"""Maps between expression and text that are fitted on labels of observations.

An observation has a probability of each labelled type; a text has a share of each type by the
similarity of their texts; the product says how well they match. So any text can be asked, also one
that nothing was labelled with. Every setting was chosen on lanes of collection pbmc-hao
(docs/text_and_expression.md). Readings without labels are `readings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from genept.embeddings.text_readings.similarities import softmax

Floats = NDArray[np.float64]
Head = Literal["logistic", "ridge", "pls"]

HEADS: Final[tuple[Head, ...]] = ("logistic", "ridge", "pls")
"""Of maps from expression to types; the first is the default, the other two were worse."""

SOFTNESS: Final = 0.1
"""Similarities of texts are divided by this before the softmax over types."""

INVERSE_PENALTY: Final = 0.1
"""Of the logistic head."""

RIDGE: Final = 0.03
"""Penalty of the ridge head, of standardised directions and type-balanced means."""

PLS_COMPONENTS: Final = 8

FEWEST_OF_TYPE: Final = 3
"""Observations of a type that a map is fitted on: rarer types are left out."""

SAME_TEXT: Final = 0.999
"""Two texts with this cosine are one."""

_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class TextMap:
    """From directions of expression, and from a text, to shares of types.

    Parameters
    ----------
    types
        Labels that it was fitted on.
    texts
        Vectors of their texts, types × dimensions.
    centre, spread
        Of each direction, over the observations that it was fitted on.
    weights, offsets
        Directions × types, and one number for each type.
    head
        How they were fitted.
    """

    types: tuple[str, ...]
    texts: Floats
    centre: Floats
    spread: Floats
    weights: Floats
    offsets: Floats
    head: Head = "logistic"

    def types_of(self, directions: Floats) -> Floats:
        """How much each observation is of each type.

        Parameters
        ----------
        directions
            Observations × directions.

        Returns
        -------
        NDArray of float64
            Observations × types: probabilities of the logistic head; estimates of 0 and 1 of
            the others.
        """
        values = (directions - self.centre) / self.spread @ self.weights + self.offsets
        return softmax(values) if self.head == "logistic" else np.asarray(values)

    def shares_of(self, texts: Floats, rivals: Floats | None = None) -> Floats:
        """How much each text means each type: `type_shares` of its own types."""
        return type_shares(self.texts, texts, rivals)

    def read(self, directions: Floats, texts: Floats, rivals: Floats | None = None) -> Floats:
        """Scores of observations for texts; a text that means no type in particular scores low.

        Parameters
        ----------
        directions
            Observations × directions.
        texts, rivals
            As of `type_shares`.

        Returns
        -------
        NDArray of float64
            Observations × texts, less the mean over the observations, in units of how much the
            shares of a type differ.
        """
        of_types = self.types_of(directions)
        matches = of_types @ self.shares_of(texts, rivals).T
        return np.asarray((matches - matches.mean(axis=0)) / typical_spread(of_types))


def typical_spread(of_types: Floats) -> float:
    """How much the shares of a type differ over observations, in the mean over types; above 0.

    Parameters
    ----------
    of_types
        Observations × types.

    Returns
    -------
    float
        The unit of scores.
    """
    return max(float(of_types.std(axis=0).mean()), _SMALLEST)


def type_shares(types: Floats, texts: Floats, rivals: Floats | None = None) -> Floats:
    """How much each text means each type.

    Parameters
    ----------
    types
        Vectors of the types' texts, types × dimensions.
    texts
        As `text_vectors` returns them.
    rivals
        Vectors of texts of other types that a text may mean; those of the types are left out.

    Returns
    -------
    NDArray of float64
        Texts × types; rows sum to 1, or to less with rivals.
    """
    every = types
    if rivals is not None and len(rivals):
        strange = (rivals @ types.T).max(axis=1) < SAME_TEXT
        every = np.concatenate([every, rivals[strange]])
    return softmax(texts @ every.T / SOFTNESS)[:, : len(types)]


def fit_text_map(
    directions: Floats,
    labels: NDArray[np.str_],
    types: Sequence[str],
    texts: Floats,
    *,
    head: Head = HEADS[0],
    inverse_penalty: float = INVERSE_PENALTY,
) -> TextMap:
    """Fit a map on the observations whose label is one of the types; types weigh the same.

    Parameters
    ----------
    directions
        Observations × directions, as `Structure.scores`.
    labels
        Of each observation; others than `types` take no part.
    types
        Labels to fit on, each with at least `FEWEST_OF_TYPE` observations.
    texts
        Vectors of the types' texts, in their order.
    head
        Which model.
    inverse_penalty
        Of the logistic head; the others have penalties of their own.

    Returns
    -------
    TextMap
        The fitted map.

    Raises
    ------
    ValueError
        For fewer than two types, or a type with too few observations.
    """
    codes = np.array([{name: at for at, name in enumerate(types)}.get(str(x), -1) for x in labels])
    sizes = np.bincount(codes[codes >= 0], minlength=len(types))
    if len(types) < 2 or sizes.min() < FEWEST_OF_TYPE:
        rare = [name for name, size in zip(types, sizes, strict=True) if size < FEWEST_OF_TYPE]
        raise ValueError(
            f"a map needs two types with {FEWEST_OF_TYPE} observations each; there are "
            f"{len(types)}, too few are of {', '.join(rare) or 'none'}"
        )
    fitted, of_type = directions[codes >= 0], codes[codes >= 0]
    balance = 1 / sizes[of_type] / len(types)
    centre = balance @ fitted
    spread = np.sqrt(balance @ (fitted - centre) ** 2)
    spread = np.where(spread > _SMALLEST, spread, 1)
    x = (fitted - centre) / spread
    if head == "logistic":
        weights, offsets = _logistic(x, of_type, balance, inverse_penalty)
    else:
        weights, offsets = (_ridge if head == "ridge" else _pls)(x, of_type, balance)
    return TextMap(tuple(types), texts, centre, spread, weights, offsets, head)


def _logistic(
    x: Floats, codes: NDArray[np.intp], balance: Floats, inverse_penalty: float
) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(C=inverse_penalty, max_iter=500)
    with threadpool_limits(1):
        model.fit(x, codes, sample_weight=balance * len(x))
    if len(model.classes_) == 2:  # one column stands for both
        zero = np.zeros_like(model.coef_[0])
        return np.stack([zero, model.coef_[0]], axis=1), np.array([0.0, model.intercept_[0]])
    return model.coef_.T, model.intercept_


def _ridge(x: Floats, codes: NDArray[np.intp], balance: Floats) -> tuple[Floats, Floats]:
    k = int(codes.max()) + 1
    penalised = (x * balance[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
    aims = (x * balance[:, None]).T @ (np.eye(k)[codes] - 1 / k)
    weights = np.asarray(np.linalg.solve(penalised, aims), np.float64)
    return weights, np.full(k, 1 / k, np.float64)


def _pls(x: Floats, codes: NDArray[np.intp], _balance: Floats) -> tuple[Floats, Floats]:
    from sklearn.cross_decomposition import PLSRegression

    k = int(codes.max()) + 1
    components = min(PLS_COMPONENTS, x.shape[1], k)
    model = PLSRegression(components, scale=False).fit(x, np.eye(k)[codes])
    weights = np.asarray(model.coef_.T, np.float64)
    return weights, model.predict(np.zeros((1, x.shape[1])))[0]
