"""The gate, held tasks, counts of contents, policies, people and the audit chain."""

from __future__ import annotations

from servicekit.migrate import script
from servicekit.tables import CONSUMER_OFFSET

revision = "0001"
down_revision = None

_GATE = """
create table gate (
    chunk_id       uuid     not null,
    part           smallint not null,
    tenant         text     not null,
    decided_at     bigint   not null,
    policy_version bigint   not null,
    released       integer[],
    nothing        boolean  not null default false,
    decided        bytea,
    primary key (chunk_id, part)
);
comment on table gate is
    'The recorded decision on each screened chunk; released null is all of it. A repeated chunk is answered from here';

create table task_gate (
    task_id    text   primary key,
    tenant     text   not null,
    way        text   not null,
    decided_at bigint not null
);
comment on table task_gate is 'The way of tasks that travel in several events: all their chunks go the same way';

create table content_cluster (
    tenant      text    not null,
    enterprise  text    not null,
    cluster     bigint  not null,
    sketch      bytea   not null,
    seen_minute integer not null,
    primary key (tenant, enterprise, cluster)
);

create table content_count (
    tenant     text    not null,
    enterprise text    not null,
    cluster    bigint  not null,
    minute     integer not null,
    messages   integer not null,
    primary key (tenant, enterprise, cluster, minute)
) with (fillfactor = 70);
comment on table content_count is 'Messages of the same or nearly the same content per minute: what split sends add
up to';
create index content_count_minute on content_count (minute);
"""

_ITEMS = """
create table item (
    task_id     text     primary key,
    tenant      text     not null,
    enterprise  text     not null,
    lane        text     not null,
    port        text     not null,
    tier        text     not null,
    state       text     not null,
    reason      text     not null,
    risk        smallint not null,
    fast_lane   boolean  not null default false,
    total       integer  not null,
    chunks      integer  not null,
    content     text     not null,
    template    boolean  not null default false,
    cluster     bigint   not null,
    sketch      bytea    not null,
    posted_by   text     not null default '',
    ref         text     not null default '',
    queued_at   bigint   not null,
    not_before  bigint   not null default 0,
    expires_at  bigint   not null,
    claimed_by  text,
    claim_until bigint,
    decided_by  text,
    decided_at  bigint,
    cited       text     not null default '',
    note        text     not null default '',
    due_at      bigint,
    final_at    bigint,
    version     integer  not null default 1,
    constraint item_state check (state in ('queued','claimed','approved','rejected','expired','outside_review_hours',
                                           'outside_sending_window','withdrawn'))
);
comment on table item is 'One row per held task; every change of state is a compare-and-set; due_at is when a
decision is published';
create index item_open on item (tenant, fast_lane desc, queued_at) where state in ('queued', 'claimed');
create index item_due on item (due_at) where final_at is null and due_at is not null;
create index item_expiry on item (expires_at) where final_at is null;
create index item_cluster on item (tenant, cluster, queued_at);
create index item_decided on item (tenant, decided_at) where decided_at is not null;
create index item_port on item (tenant, port, queued_at);

create table held_chunk (
    chunk_id uuid     not null,
    part     smallint not null,
    tenant   text     not null,
    stored_at bigint  not null,
    traceparent text  not null,
    payload  bytea    not null,
    primary key (chunk_id, part)
);
comment on table held_chunk is 'The screened chunk as it arrived, kept until decided: the topic forgets sooner than a
long weekend lasts';

create table held_part (
    task_id   text      not null references item,
    chunk_id  uuid      not null,
    part      smallint  not null,
    entry     smallint  not null,
    reason    text      not null,
    indices   integer[] not null,
    carriers  jsonb     not null,
    batch     bigint,
    published boolean   not null default false,
    primary key (task_id, chunk_id, part, reason),
    foreign key (chunk_id, part) references held_chunk
);
comment on table held_part is 'Messages of a held task in one chunk; the row is the outbox of the decision (batch:
published together, so repeated alike)';
create index held_part_waiting on held_part (task_id) where batch is null;
create index held_part_batched on held_part (batch) where batch is not null and not published;
create sequence release_batch;

create function tell_pages() returns trigger language plpgsql as $$
begin
    -- Statement triggers fire for no rows, too: the clockwork's updates mostly find nothing.
    if exists (select 1 from moved) then
        perform pg_notify('review_queue', '');
    end if;
    return null;
end $$;
create trigger item_arrived after insert on item referencing new table as moved
    for each statement execute function tell_pages();
create trigger item_changed after update on item referencing new table as moved
    for each statement execute function tell_pages();

create table withdrawn_task (task_id text primary key, tenant text not null, at bigint not null);
comment on table withdrawn_task is 'Withdrawals, also those that overtake the chunks of their task';
"""

_POLICY = """
create table policy_head (one boolean primary key default true check (one), version bigint not null);
insert into policy_head (version) values (1);

create table tenant_policy (tenant text primary key, threshold integer not null check (threshold between 0 and
1000000));

create table port_policy (
    tenant       text not null,
    port         text not null,
    enterprise   text not null default '',
    tier         text not null check (tier in ('high', 'general', 'trusted')),
    threshold    integer check (threshold between 0 and 1000000),
    window_start smallint,
    window_end   smallint,
    fast_lane    boolean not null default false,
    suspended_at bigint,
    suspended_for text not null default '',
    reinstated_at bigint not null default 0,
    changed_at   bigint not null,
    changed_by   text not null,
    primary key (tenant, port),
    check ((window_start is null) = (window_end is null))
);

create function bump_policy() returns trigger language plpgsql as $$
begin
    update policy_head set version = version + 1;
    return null;
end $$;
create trigger port_policy_changed after insert or update or delete on port_policy
    for each statement execute function bump_policy();
create trigger tenant_policy_changed after insert or update or delete on tenant_policy
    for each statement execute function bump_policy();
"""

_PEOPLE = """
create table console_user (
    name          text primary key,
    tenant        text not null,
    role          text not null check (role in ('reviewer', 'supervisor', 'admin', 'auditor')),
    display       text not null default '',
    password_hash text not null,
    api_users     text[] not null default '{}',
    wrong_tries   integer not null default 0,
    locked_until  bigint not null default 0,
    disabled      boolean not null default false,
    created_at    bigint not null,
    changed_at    bigint not null
);

create table console_session (
    digest     bytea primary key,
    user_name  text not null references console_user,
    csrf       text not null,
    created_at bigint not null,
    seen_at    bigint not null,
    expires_at bigint not null
);
create index console_session_user on console_session (user_name);

create table audit (
    tenant  text   not null,
    seq     bigint not null,
    at      bigint not null,
    actor   text   not null,
    role    text   not null,
    action  text   not null,
    subject text   not null,
    detail  bytea  not null,
    prev    bytea  not null,
    hash    bytea  not null,
    primary key (tenant, seq)
);
create index audit_subject on audit (tenant, subject, seq);
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append only';
end $$;
create trigger audit_no_change before update or delete or truncate on audit
    for each statement execute function audit_is_append_only();
"""


def upgrade() -> None:
    """Make every table of the schema."""
    script(CONSUMER_OFFSET)
    for text in (_GATE, _ITEMS, _POLICY, _PEOPLE):
        script(text)
