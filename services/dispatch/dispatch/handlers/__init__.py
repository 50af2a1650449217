"""Use cases, one a file: they wire pure decisions to the store and the sessions."""
