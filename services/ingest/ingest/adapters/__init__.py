"""Every way out: processes, files, foreign URLs."""
