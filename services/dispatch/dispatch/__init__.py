"""Dispatch: takes released chunks into its own queue, submits them over carrier sessions, and matches what comes back."""
