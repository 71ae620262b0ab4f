"""The report page: one file that answers a study's question and opens anywhere."""
