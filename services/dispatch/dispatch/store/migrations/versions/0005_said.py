"""What dispatch said and cannot read out of its other tables: kept so that it can be said again when the bus lost it.

Answers and reports are rows of their own; the others, and answers and reports that were found later by other ways, are copied
as they enter the outbox, whose rows go with the bus's acknowledgement.
"""

from __future__ import annotations

from servicekit.migrate import script

revision = "0005"
down_revision = "0004"

SAID = """
create table said (
    chunk_id uuid   not null,
    event_id text   not null,
    topic    text   not null,
    key      text   not null,
    type     text   not null,
    trace    text   not null,
    at       bigint not null,
    payload  bytea  not null,
    primary key (chunk_id, event_id)
);
create index said_at on said using brin (at);
comment on table said is 'Outcomes that are in no other table, as they were published';

create function keep_said() returns trigger language plpgsql as $body$
declare
    -- The id comes first in the envelope; as escaped text, for a cut may fall into the middle of a character.
    whole text := substring(encode(substring(new.payload for 200), 'escape') from '^{"id":"([^"]+)"');
begin
    if whole ~ '^[0-9a-f]{32}:' then
        insert into said (chunk_id, event_id, topic, key, type, trace, at, payload)
        values (left(whole, 32)::uuid, substring(whole from 34), new.topic, new.key, new.type, new.trace, new.at, new.payload)
        on conflict do nothing;
    end if;
    return null;
end
$body$;

create trigger outbox_said after insert on outbox for each row
    when (
        new.type in ('MessagesQueued', 'SegmentsUncertain', 'MessagesClosed')
        or encode(substring(new.payload for 80), 'escape') ~ '^{"id":"[0-9a-f]{32}:(answered|reported)-'
    )
    execute function keep_said();
"""


def upgrade() -> None:
    """Create the table and what fills it."""
    script(SAID)
