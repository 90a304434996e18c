"""Subsets written out: Parquet, JSON lines, tars, uids."""
