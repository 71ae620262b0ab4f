"""Tables made from the ledger, and from nothing else."""
