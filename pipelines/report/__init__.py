"""What a run and its scores say, as one page to read, print and keep: `page` writes it, `serve` shows it over a whole store."""
