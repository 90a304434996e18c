"""Subsets trained and compared: evaluations, verdicts, costs, ratings, leaderboards."""
