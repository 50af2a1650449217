"""Tables of schema billing and the SQL that reads and writes them."""
