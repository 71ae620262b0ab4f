"""The command line: options, completion, and what a study shows while it runs."""
