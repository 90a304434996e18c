"""Finding rows: by uid, url, host or image from an index, by text with a look at all."""
