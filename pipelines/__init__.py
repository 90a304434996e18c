"""The judgement and the door: recipes, verbs, the command line, reports."""
