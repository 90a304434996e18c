"""The instrument: frozen scales, fixed models, one loop, tasks and statistics."""
