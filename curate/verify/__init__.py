"""A store held against itself: every decision judged again, every file against the digest that names it."""
