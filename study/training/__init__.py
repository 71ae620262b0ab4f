"""Training one fold, and all that is measured while it trains."""
