"""Pre-send review: what policy does not hold is released at once and on record; the rest waits for a person."""
