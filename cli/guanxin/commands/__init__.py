"""One file per command (group); each has an ``app`` and is imported only when it is used, see `guanxin.main`."""
