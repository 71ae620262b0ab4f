"""A small real study, killed again and again: nothing may be lost, and nothing wrong."""
