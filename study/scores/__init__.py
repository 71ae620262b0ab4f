"""From error components to compositions, thresholds and metrics: arrays in, results out."""
