"""Each fault that a cluster, a node, a store or a trial can have, in a small real study."""
