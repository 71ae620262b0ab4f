"""New signals: from a file to samples of the form that a model was trained on, in blocks."""
