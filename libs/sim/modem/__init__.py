"""A pool of GSM modems on pseudo terminals or TCP: AT commands in, messages out, faults on demand."""
