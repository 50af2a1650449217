"""The command line of the platform and the one-command local stack."""
