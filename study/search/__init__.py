"""Which trials a study has, when they are stopped, and what they ask of a cluster."""
