"""Programs run by developers to make the data files of this package; nothing here runs in the service."""
