"""What is measured of a trained model beyond its anomaly scores: arrays in, results out."""
