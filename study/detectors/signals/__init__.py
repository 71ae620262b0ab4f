"""New signals: from a file to samples of the form that a trained model knows, in blocks."""
