"""Which messages a gate row decided: a chunk screened anew under other rules may be cut into other parts.

Null is the whole chunk, also for rows from before this revision.
"""

from __future__ import annotations

from servicekit.migrate import script

revision = "0002"
down_revision = "0001"

_COVERED = """
alter table gate add column covers integer[];
comment on column gate.covers is 'Messages this row decided, null is all of the chunk: no message is decided twice';
create index held_part_chunk on held_part (chunk_id, part);
"""


def upgrade() -> None:
    """Add the column and the index by which a repeated chunk finds what of it was held."""
    script(_COVERED)
