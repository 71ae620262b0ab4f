"""Isolation forest (Liu, Ting and Zhou 2008), its trees kept as arrays."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from models.bases.classical import ClassicalModel, Fitted, Float
from models.entry import OUTLIER_SCORE
from models.isolation_forest.settings import IsolationForestSettings


class IsolationForest(ClassicalModel):
    """Score 2^(-depth / expected depth), in (0, 1]: an abnormal sample is isolated early.

    Arrays of all nodes of all trees, one tree after the other; the first node of a tree
    is its root.

    - `left`, `right`: `(nodes,)` int64, index of each child; a leaf is its own child.
    - `feature`: `(nodes,)` int64, feature that is compared; 0 in leaves.
    - `threshold`: `(nodes,)` float64; features up to it go left.
    - `samples`: `(nodes,)` int64, training samples that reached the node.
    - `roots`: `(trees,)` int64.
    """

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = (
        "left",
        "right",
        "feature",
        "threshold",
        "samples",
        "roots",
    )
    settings: IsolationForestSettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`; trees are drawn from the stream of weights."""
        from sklearn import ensemble

        forest = ensemble.IsolationForest(
            n_estimators=self.settings.trees,
            max_samples=min(self.settings.samples_per_tree, len(x)),
            random_state=int(np.random.SeedSequence(self.seeds.weights).generate_state(1)[0]),
        ).fit(x.astype(np.float32))
        return trees_to_arrays([each.tree_ for each in forest.estimators_])

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        return forest_scores(fitted, x)


def trees_to_arrays(trees: list[Any]) -> Fitted:
    """Return the arrays of `IsolationForest` from scikit-learn's trees."""
    roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    own = [root + np.arange(tree.node_count) for root, tree in zip(roots, trees, strict=True)]
    leaf = [tree.children_left < 0 for tree in trees]

    def children(side: str) -> npt.NDArray[np.int64]:
        return np.concatenate(
            [
                np.where(is_leaf, nodes, getattr(tree, side) + root)
                for tree, root, nodes, is_leaf in zip(trees, roots, own, leaf, strict=True)
            ]
        )

    return {
        "left": children("children_left"),
        "right": children("children_right"),
        "feature": np.where(
            np.concatenate(leaf), 0, np.concatenate([tree.feature for tree in trees])
        ).astype(np.int64),
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "samples": np.concatenate([tree.n_node_samples for tree in trees]).astype(np.int64),
        "roots": roots.astype(np.int64),
    }


def forest_scores(arrays: Fitted, x: Float) -> Float:
    """Return the anomaly score of samples `(n, features)`, `(n,)` in (0, 1].

    All samples walk down all trees at once. In its leaf a sample is as deep as the leaf,
    plus the depth that the leaf's training samples would take to be isolated.
    """
    left, right, feature, threshold = (arrays[name] for name in IsolationForest.parameters[:4])
    row = np.arange(len(x))[:, None]  # (n,) -> (n, 1)
    roots = arrays["roots"]
    node = np.broadcast_to(roots, (len(x), len(roots)))  # (trees,) -> (n, trees)
    depth = np.zeros(node.shape)
    while (inner := left[node] != node).any():
        depth += inner
        goes_left = x[row, feature[node]] <= threshold[node]
        node = np.where(goes_left, left[node], right[node])
    samples = arrays["samples"]
    length = (depth + expected_depth(samples)[node]).sum(axis=1)
    expected = expected_depth(samples[arrays["roots"]]).sum()
    # A forest grown on one sample has no depth: everything is as abnormal as can be.
    ratio = length / expected if expected > 0 else np.ones(len(x))
    scores: Float = np.exp2(-ratio)
    return scores


def expected_depth(samples: npt.NDArray[np.int64]) -> Float:
    """Return c(n) of Liu et al. (2008), equation 1: mean depth of n isolated samples."""
    n = np.maximum(samples, 3).astype(np.float64)
    many = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(samples > 2, many, np.where(samples == 2, 1.0, 0.0))
