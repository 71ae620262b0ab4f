"""All that is used of Ray's insides, each with its reason and the public way that is missing.

A module for each part of Ray. Tests of the cluster run on the Ray of `constraints.txt`; whoever
raises its version reads this folder against the new one. Ray's parts are imported where they are
used, since the coordinator needs none but the core, and an import costs a second.
"""
