"""Labels of systems, datasets, compositions and metrics in tables and pictures, and colours."""

from collections.abc import Iterable

SYSTEMS = {
    "ae": "AE",
    "vae": "VAE",
    "beatgan": "BeatGAN",
    "beatgan_plus": "BeatGAN₊",
    "vaegan_1": "β-VAEGAN₁",
    "vaegan_2": "β-VAEGAN₂",
    "vaegan_beta_1e-1": "β-VAEGAN, β = 0.1",
    "beatgan_plus_mse": "BeatGAN₊, MSE",
    "vae_beta_1e-4": "VAE, β = 0.0001",
    "beatgan_plus_batch_norm": "BeatGAN₊, batch norm",
    "anogan": "AnoGAN",
    "latent_refinement": "latent refinement",
    "ocsvm": "one-class SVM",
    "pca": "PCA",
    "knn": "nearest neighbours",
    "isolation_forest": "isolation forest",
    "rocket_knn": "MiniRocket, nearest neighbours",
    "median_beat": "distance from the median",
    "knn_5": "five nearest neighbours",
}
"""Systems by the names studies give them: the paper's six in its order, then others."""

BETAS = {"vaegan_beta_1e-1": "0.1", "vaegan_2": "0.0001", "vaegan_1": "0"}
"""The paper's beta by system, in the order of figure 4."""

CLASSES = ("normal", "abnormal")
"""Classes by label."""

DATASETS = {"mitbih": "MIT-BIH", "wafer": "Wafer"}

COMPOSITIONS = {
    "reconstruction": "λ = 0 (R alone)",
    "lambda_grid": "λ by grid",
    "svm_lambda": "SVM λ (R, D)",
    "svm_gamma": "SVM γ (R, D, L)",
}
"""The rows of table II, in its order."""
OTHER_COMPOSITIONS = {"gamma_grid": "γ by grid", "svm_linear": "linear SVM (R, D)"}
"""Compositions that the paper has no rows of, labelled alike."""

METRICS = {
    "f1_weighted": "weighted F₁",
    "phi": "φ coefficient",
    "auroc_labels": "AUROC of labels",
    "auroc": "AUROC of scores",
    "tstr": "TSTR",
    "tstr_normalised": "TSTR normalised",
    "tstr_normals": "TSTR of normals",
    "tstr_normals_normalised": "TSTR of normals,\nnormalised",
}

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"
"""Colours that differ for readers who do not see red or green (Okabe and Ito 2008)."""

COLOURS = {
    "beatgan": VERMILION,
    "beatgan_plus": ORANGE,
    "beatgan_plus_batch_norm": PURPLE,
    "vaegan_1": SKY,
    "vaegan_2": BLUE,
    "vaegan_beta_1e-1": GREEN,
}


def in_paper_order(systems: Iterable[str]) -> list[str]:
    """Return distinct systems: those of `SYSTEMS` in its order, then others by name."""
    ranks = {name: rank for rank, name in enumerate(SYSTEMS)}
    return sorted(set(systems), key=lambda name: (ranks.get(name, len(ranks)), name))


def system_label(name: str) -> str:
    """Return a system's label; an unknown one keeps its name."""
    return SYSTEMS.get(name, name)


def dataset_label(name: str) -> str:
    """Return a dataset's label; an unknown one keeps its name."""
    return DATASETS.get(name, name)


def composition_label(name: str, latent_form: str = "") -> str:
    """Return a composition's label, with its latent form if it has one."""
    label = (COMPOSITIONS | OTHER_COMPOSITIONS).get(name, name.replace("_", " "))
    return f"{label}, {latent_form.replace('_', ' ')} L" if latent_form else label
