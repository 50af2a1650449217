"""Use cases, one a file: what happens to a batch of chunks, to a rule set, to a line of text."""
