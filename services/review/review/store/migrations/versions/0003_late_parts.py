"""Items for what arrives after a decision, and the record of what an item shows.

Columns are added only, with defaults: processes of the release before go on with them.  The fingerprint of an item from before is
not known, so whatever arrives late for it is taken for unseen.
"""

from __future__ import annotations

from servicekit.migrate import script

revision = "0003"
down_revision = "0002"

_LATE = """
alter table item
    add column late_of     text references item,
    add column round       smallint not null default 1,
    add column news        integer  not null default 0,
    add column fingerprint bigint;
comment on column item.task_id is 'Id of the review item; the first item of a task bears the id of the task';
comment on column item.late_of is 'The task whose parts arrived after its decision and hold something new; null: the first item';
comment on column item.news is 'Grows with everything new that joins a waiting item: a decision names what it saw';
create unique index item_late on item (late_of, round) where late_of is not null;

create table item_sight (
    task_id  text     not null references item on delete cascade,
    digest   bigint   not null,
    kind     text     not null check (kind in ('finding', 'content')),
    finding  bytea,
    text     text     not null,
    chunk_id uuid     not null,
    index    integer  not null,
    messages integer  not null,
    primary key (task_id, digest)
);
comment on table item_sight is
    'What a reviewer can see of an item beside its first text: findings of screening and other texts. A decision covers these';
"""


def upgrade() -> None:
    """Add the columns and the table."""
    script(_LATE)
