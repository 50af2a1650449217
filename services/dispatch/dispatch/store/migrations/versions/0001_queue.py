"""Links, session slots, the queue, the journal, receipts, replies and the outbox of dispatch.

Arrays per chunk and batch, never a row per message on the hot path (architecture.md, "What is stored, and what it costs").
"""

from __future__ import annotations

from servicekit.migrate import script
from servicekit.tables import CONSUMER_OFFSET

revision = "0001"
down_revision = None

LINKS = """
create table link (
    name           text     primary key,
    protocol       text     not null,
    config         jsonb    not null,
    grp            text     not null,
    rank           smallint not null default 0,
    letters        text     not null,
    rate           integer  not null check (rate > 0),
    sessions       smallint not null check (sessions between 1 and 1000),
    win            integer  not null check (win > 0),
    state          text     not null default 'active' check (state in ('active', 'suspended', 'draining')),
    configured     boolean  not null default true,
    share_version  bigint   not null default 0
) with (fillfactor = 50);
comment on table link is 'One configured carrier account; secrets are never stored, workers read them from the links file';
comment on column link.share_version is 'Rises with every change of any slot''s tokens: shares rise only when it stood still for a second';

create table session_slot (
    link        text     not null references link (name),
    slot        smallint not null,
    epoch       bigint   not null default 0,
    owner       text,
    beat        bigint   not null default 0,
    tokens      integer  not null default 0 check (tokens >= 0),
    bound       boolean  not null default false,
    phase       text     not null default 'unowned',
    last_error  text     not null default '',
    primary key (link, slot)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table session_slot is 'One row per agreed session: who owns it, under which epoch, and how many tokens a second it may use';

create table worker (
    owner  text   primary key,
    beat   bigint not null default 0
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

create table worker_cycle (
    owner  text   primary key,
    cycle  bigint not null default 0
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table worker_cycle is
    'Number of the last journal cycle committed: tells a worker whether a commit it lost sight of happened';
"""

QUEUE = """
create sequence journal_id increment by 4096;

create table release (
    release_id   text     primary key,
    chunk_id     uuid     not null,
    ekey         text     not null,
    tenant       text     not null,
    enterprise   text     not null,
    lane         smallint not null,
    task_ids     text[]   not null,
    payload      bytea    not null,
    traceparent  text     not null default '',
    taken_at     bigint   not null
);
alter table release alter column payload set storage external;
create index release_chunk on release (chunk_id);
create index release_taken on release using brin (taken_at);
comment on table release is 'Released chunks as taken in, by release id: nothing else is ever submitted';

create sequence item_seq;
create table item (
    id           bigint   generated always as identity primary key,
    seq          bigint   not null default nextval('item_seq'),
    release_id   text     not null references release (release_id),
    ekey         text     not null,
    lane         smallint not null,
    grp          text     not null,
    kind         smallint not null default 0,
    state        smallint not null,
    not_before   bigint   not null default 0,
    expires_at   bigint   not null,
    attempt      smallint not null default 0,
    avoid        text,
    indices      int2[]   not null,
    segs         int2[],
    pos          integer  not null default 0,
    n            integer  not null,
    version      integer  not null default 0,
    sweep        boolean  not null default false,
    claim_link   text,
    claim_slot   smallint,
    claim_epoch  bigint
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
create index item_ready on item (grp, lane, ekey, seq, id) where claim_link is null and state = 1 and not sweep;
create index item_waiting on item (not_before) where state = 0;
create index item_claimed on item (claim_link, claim_slot) where claim_link is not null;
create index item_expiring on item (expires_at);
create index item_swept on item (id) where sweep;
create index item_release on item (release_id);
create index item_ekey on item (ekey);
comment on table item is 'Queue: one row per release, link group and reason, at most 500 messages; pos counts what is granted';
comment on column item.seq is 'Order within an enterprise; the rest of an item that was cut keeps it';
comment on column item.kind is '0 first submit, 1 retry after an answer, 2 resend of uncertain segments';
comment on column item.state is '0 waits for not_before, 1 ready';
comment on column item.segs is 'Null: whole messages; else one segment number per index';

create table cancelled_task (
    task_id  text   primary key,
    at       bigint not null
);
"""

JOURNAL = """
create table grants (
    id          bigint   primary key,
    link        text     not null,
    slot        smallint not null,
    epoch       bigint   not null,
    release_id  text     not null,
    lane        smallint not null,
    kind        smallint not null,
    attempt     smallint not null,
    grp         text     not null,
    expires_at  bigint   not null,
    at          bigint   not null,
    indices     int2[]   not null,
    segs        int2[]   not null,
    totals      int2[]   not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
create index grants_slot on grants (link, slot);
comment on table grants is 'Open grants: what a session may write or has written; a row goes when its last answer is durable';

create table answer (
    id           bigint   not null,
    grant_id     bigint   not null,
    link         text     not null,
    slot         smallint not null,
    epoch        bigint   not null,
    release_id   text     not null,
    lane         smallint not null,
    at           bigint   not null,
    indices      int2[]   not null,
    segs         int2[]   not null,
    totals       int2[]   not null,
    statuses     int4[]   not null,
    carrier_ids  text[]   not null,
    recipients   int8[]   not null
);
create index answer_grant on answer (grant_id);
create index answer_release on answer (release_id);
create index answer_at on answer using brin (at) with (pages_per_range = 8);
comment on table answer is 'Answers of carriers in batches, append only: the source of charging';

create table report (
    id        bigint   not null,
    link      text     not null,
    chunk_id  uuid     not null,
    at        bigint   not null,
    indices   int2[]   not null,
    segs      int2[]   not null,
    states    text[]   not null,
    codes     text[]   not null
);
create index report_chunk on report (chunk_id);

create table receipt_raw (
    link  text     not null,
    slot  smallint not null,
    at    bigint   not null,
    raws  bytea[]  not null
);
alter table receipt_raw alter column raws set storage external;
create index receipt_raw_at on receipt_raw using brin (at);
comment on table receipt_raw is 'Receipts as received, committed before they are answered';

create table receipt_pending (
    id           bigint   primary key,
    link         text     not null,
    ids          text[]   not null,
    raw_id       text     not null,
    state        text     not null,
    code         text     not null,
    recipient    text     not null,
    sender       text     not null,
    submitted_at bigint   not null,
    done_at      bigint   not null,
    received_at  bigint   not null,
    tries        integer  not null default 0,
    next_at      bigint   not null
);
create index receipt_pending_next on receipt_pending (link, next_at);
comment on table receipt_pending is 'Receipts that match nothing yet: tried again, and listed';

create table uncertain (
    id          bigint   generated always as identity primary key,
    link        text     not null,
    slot        smallint not null,
    epoch       bigint   not null,
    grant_id    bigint   not null,
    release_id  text     not null,
    chunk_id    uuid     not null,
    lane        smallint not null,
    index       smallint not null,
    seg         smallint not null,
    total       smallint not null,
    recipient   bigint   not null,
    sender      text     not null,
    at          bigint   not null,
    rule        text     not null,
    resolved    text     not null default ''
);
create index uncertain_number on uncertain (recipient, link) where resolved = '';
create index uncertain_release on uncertain (release_id) where resolved = '';
comment on table uncertain is 'Segments written, or perhaps written, whose answer was not seen';
"""

OUTBOX = """
create table outbox (
    id       bigint primary key,
    topic    text   not null,
    key      text   not null,
    type     text   not null,
    trace    text   not null default '',
    at       bigint not null,
    payload  bytea  not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
alter table outbox alter column payload set storage external;
comment on table outbox is 'Events committed with their cause and not yet acknowledged by the bus; a row goes when it is';
"""

REPLIES = """
create table mo_raw (
    id           bigint   primary key,
    link         text     not null,
    source       text     not null,
    destination  text     not null,
    data_coding  smallint not null,
    udhi         boolean  not null,
    content      bytea    not null,
    raw          bytea    not null,
    reference    integer  not null default 0,
    total        smallint not null default 1,
    part         smallint not null default 1,
    width        smallint not null default 0,
    at           bigint   not null,
    done         boolean  not null default false
);
create index mo_raw_open on mo_raw (link, source, destination) where not done;
comment on table mo_raw is 'Messages from phones as received, committed before they are answered';

create table mo (
    id          text     primary key,
    link        text     not null,
    sender      bigint   not null,
    port        text     not null,
    text        text     not null,
    at          bigint   not null,
    chunk_id    uuid,
    index       smallint,
    ekey        text     not null default '',
    action      text     not null default ''
);
create index mo_sender on mo (sender);

create table port_owner (
    port        text    primary key,
    ekey        text    not null,
    tenant      text    not null,
    enterprise  text    not null,
    seen        bigint  not null
);
comment on table port_owner is 'Which enterprise last sent from a port: whose a reply is when no message to that number is found';

create table opt_out (
    tenant      text    not null,
    enterprise  text    not null,
    number      bigint  not null,
    port        text    not null,
    at          bigint  not null,
    word        text    not null default '',
    mo_id       text    not null default '',
    by          text    not null default '',
    primary key (tenant, enterprise, number)
);
"""


def upgrade() -> None:
    """Create everything."""
    script(CONSUMER_OFFSET)
    for sql in (LINKS, QUEUE, JOURNAL, OUTBOX, REPLIES):
        script(sql)
