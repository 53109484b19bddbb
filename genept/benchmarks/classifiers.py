"""Classifiers of genes by name, unfitted; how they are fitted and scored is `fitted_heads`."""

from collections.abc import Callable
from typing import Any, Final

from genept.benchmarks.solvers import MAX_ITER

LOGISTIC: Final = "logistic-regression"
FOREST: Final = "random-forest"
BOOSTING: Final = "gradient-boosting"


# scikit-learn is imported where something is fitted: it takes longer than a lookup.
def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=MAX_ITER, random_state=seed)


def _forest(seed: int) -> Any:
    """In one thread: scikit-learn's own empty the warning filters of the process now and then."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=seed)


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=7, max_bins=63, random_state=seed
    )


HEADS: Final[dict[str, Callable[[int], Any]]] = {
    LOGISTIC: _logistic,
    FOREST: _forest,
    BOOSTING: _boosting,
}
