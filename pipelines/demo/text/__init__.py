"""The embedded demo for texts: a frozen snapshot of licensed documentation, a pool with planted defects made of it, evaluation items."""
