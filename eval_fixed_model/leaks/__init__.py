"""Evaluation items that a pool contains."""
