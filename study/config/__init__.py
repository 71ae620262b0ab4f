"""The study file: its form, what may stand in it, and what is wrong with it."""
