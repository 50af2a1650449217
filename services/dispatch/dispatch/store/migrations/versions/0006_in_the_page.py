"""Rows of the journal stay in their page up to 8 kB, as one tuple, uncompressed.

By default what makes a row longer than 2 kB is compressed, or moved out in pieces of 2 kB with an index entry each, here for rows
most of which are read once or never before they go.
"""

from __future__ import annotations

from servicekit.migrate import script

revision = "0006"
down_revision = "0005"

PAGES = """
alter table grants set (toast_tuple_target = 8160);
alter table answer set (toast_tuple_target = 8160);
alter table report set (toast_tuple_target = 8160);
alter table receipt_raw set (toast_tuple_target = 8160);
alter table outbox set (toast_tuple_target = 8160);
"""


def upgrade() -> None:
    """Set the tables' target."""
    script(PAGES)
