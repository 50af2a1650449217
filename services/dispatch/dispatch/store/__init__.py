"""The schema and every SQL text of dispatch."""
