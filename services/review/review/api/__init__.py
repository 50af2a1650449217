"""Every way into review: the JSON API for programs and the pages of the console."""
