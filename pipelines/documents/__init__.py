"""Documents for others: what a run's ledger, recipe, evidence and scores know of a subset, written as others read it, inventing nothing."""
