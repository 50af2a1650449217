"""How far the search for segments without a receipt has come."""

from __future__ import annotations

from servicekit.migrate import script

revision = "0003"
down_revision = "0002"

MARK = """
create table overdue_mark (
    link  text   primary key,
    at    bigint not null
);
comment on table overdue_mark is 'Answers of a link up to this time (Unix ms) were looked through for missing receipts';
"""


def upgrade() -> None:
    """Create the table."""
    script(MARK)
