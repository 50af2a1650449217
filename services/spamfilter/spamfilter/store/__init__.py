"""Tables of schema spamfilter and the SQL that reads and writes them."""
