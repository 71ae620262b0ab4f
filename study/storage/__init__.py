"""Files in a folder or an object store, written durably, and locks."""
