"""The evidence: one public file per signal, grouping or model."""
