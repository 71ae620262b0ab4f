"""Ray-distributed studies of one-class anomaly detection in time series."""
