"""The studies that come with the program, a YAML file each."""
