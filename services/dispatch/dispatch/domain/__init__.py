"""Pure decisions of dispatch: no I/O, no clock, nothing awaited."""
