"""One use case a file: what a request or an event makes happen."""
