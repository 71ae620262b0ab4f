"""Trained folds that score new signals."""
