"""The paper's tables I to IV and figures 1 and 3 to 11, from a study's own tables."""
