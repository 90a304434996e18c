"""Rows with exactly the same content."""

from curate.content import content
from curate.grouping import grouping

exact_duplicate = grouping("exact_duplicate", version=1, sketch=content)
"""Rows whose content hashes are equal: the image's bytes where there is an image, else the text's. There are no links; similarity is 1.

On image-text rows the image alone decides: equal captions are evidence, not a verdict.
"""
