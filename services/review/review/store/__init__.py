"""Tables of the schema `review` and the statements over them; nobody else reads these tables."""
