"""The embedded demo: a pool, trusted pairs and an evaluation set that need no download, with the truth kept aside."""
