"""The trace context of closures whose trace is followed: their file's event continues it.  Null costs nothing in a row."""

from servicekit.migrate import script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    script("""
alter table closure add column trace text;
comment on column closure.trace is 'W3C traceparent where the trace is followed, else null';
""")


def downgrade() -> None:
    script("alter table closure drop column trace;")
