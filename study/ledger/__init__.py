"""Finished folds and trials, the only source of truth, and the files beside them."""
