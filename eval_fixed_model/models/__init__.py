"""The judges: networks that are held fixed while the data varies."""
