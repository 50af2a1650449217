"""What the sweeper needs to ask dispatch again for outcomes the bus lost, and to repeat a withdrawal it lost.

`chunk_state.released` is no longer used: which message of a chunk is released and not yet with dispatch is in its state.
"""

from __future__ import annotations

from servicekit.migrate import script

revision = "0002"
down_revision = "0001"

UNSETTLED = """
alter table chunk_state add column uncharged integer not null default 0;
alter table chunk_state add column unsettled_since timestamptz;
alter table chunk_state add column asked smallint not null default 0;
create index chunk_state_unsettled on chunk_state (unsettled_since) where unsettled_since is not null;
comment on column chunk_state.uncharged is 'segments carriers accepted less those charged';
comment on column chunk_state.unsettled_since is
    'since when dispatch or a person has all of it and a final state or a charge is still to come; put off when it is asked for';
comment on column chunk_state.asked is 'how often it was asked for: each pause is four times as long as the one before';

alter table cancellation add column again_at timestamptz;
alter table cancellation add column sweeps smallint not null default 0;
alter table cancellation add column settled boolean not null default false;
create index cancellation_unsettled on cancellation (published_at) where not settled;
comment on column cancellation.again_at is 'not announced again before';
comment on column cancellation.settled is 'nothing of the task can be stopped any more';
"""


def upgrade() -> None:
    """Add the columns and their indexes."""
    script(UNSETTLED)
