"""Tables of the schema `ingest` and the SQL on them."""
