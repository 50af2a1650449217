"""Every way into the service over HTTP."""
