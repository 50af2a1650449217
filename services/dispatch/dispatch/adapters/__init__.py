"""Every way out: carrier sessions and the watchdog process."""
