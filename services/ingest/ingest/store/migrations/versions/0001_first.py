"""The register, tasks, chunks with their states, the journal of events, replies and webhooks.

Arrays per chunk and event, no row per message (architecture.md, "What is stored, and what it costs").  `chunk`, `chunk_state` and
`journal` are partitioned by the day in the chunk id (a uuid7 begins with its milliseconds); what no day's partition takes goes to the
default partition, so that a clock gone wrong refuses nothing.
"""

from servicekit.migrate import script
from servicekit.tables import CONSUMER_OFFSET

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REGISTER = """
create table enterprise (
    tenant      text not null,
    enterprise  text not null,
    name        text not null,
    grade       text not null default 'ordinary' check (grade in ('ordinary', 'silver', 'gold', 'diamond')),
    created_at  timestamptz not null default now(),
    primary key (tenant, enterprise)
);

create table port (
    tenant      text not null,
    port        text not null,
    enterprise  text not null,
    name        text not null default '',
    signature   text not null default '',
    status      text not null default 'active' check (status in ('active', 'suspended')),
    created_at  timestamptz not null default now(),
    primary key (tenant, port),
    foreign key (tenant, enterprise) references enterprise
);

create table api_key (
    key_id            text primary key,
    tenant            text not null,
    enterprise        text not null,
    name              text not null,
    digest            bytea not null unique,
    previous_digest   bytea unique,
    previous_until    timestamptz,
    scopes            text[] not null,
    ports             text[] not null default '{}',
    any_sender        boolean not null default false,
    rate              integer not null default 1000 check (rate between 1 and 1000000),
    burst             integer not null default 2000 check (burst between 1 and 1000000),
    require_signature boolean not null default false,
    signing_secret    bytea not null,
    created_at        timestamptz not null default now(),
    rotated_at        timestamptz,
    revoked_at        timestamptz,
    unique (tenant, enterprise, name),
    foreign key (tenant, enterprise) references enterprise
);
comment on column api_key.digest is 'keyed hash of the key; the key itself is shown once and not stored';
comment on column api_key.signing_secret is 'encrypted: signs requests and webhooks, so it must be readable to the service';

create table template (
    tenant      text not null,
    enterprise  text not null,
    template_id text not null,
    kind        text not null check (kind in ('code', 'text')),
    body        text not null,
    ports       text[] not null default '{}',
    created_at  timestamptz not null default now(),
    primary key (tenant, enterprise, template_id),
    foreign key (tenant, enterprise) references enterprise
);

create table register_version (
    only_row boolean primary key default true check (only_row),
    version  bigint not null
);
insert into register_version values (true, 1);
comment on table register_version is 'raised with every change of the register; each process reloads when it differs';
"""

TASKS = """
create table task (
    task_id        uuid primary key,
    tenant         text not null,
    enterprise     text not null,
    key_id         text not null,
    user_name      text not null,
    lane           text not null,
    port           text not null,
    template_id    text not null default '',
    content        text not null,
    content_hash   bytea not null,
    ref            text not null default '',
    callback_url   text not null default '',
    total          integer not null,
    accepted       integer not null,
    rejected       integer not null,
    chunks         integer not null,
    segments_total bigint not null,
    segments_max   smallint not null,
    not_before     bigint not null,
    expires_at     bigint not null,
    created_at     bigint not null
);
create index task_by_enterprise on task (tenant, enterprise, task_id);
comment on column task.created_at is 'Unix ms, as are not_before (0: at once) and expires_at';

create table task_rejected (
    task_id  uuid primary key references task on delete cascade,
    indices  integer[] not null,
    numbers  text[] not null,
    reasons  text[] not null
);
comment on column task_rejected.numbers is 'masked: an invalid number is still somebody''s';

create table cancellation (
    task_id      uuid primary key,
    tenant       text not null,
    enterprise   text not null,
    by_user      text not null,
    at           bigint not null,
    created_at   timestamptz not null default now(),
    published_at timestamptz
);
create index cancellation_unpublished on cancellation (created_at) where published_at is null;

create table idempotency (
    key_id      text not null,
    idem_key    text not null,
    body_digest bytea not null,
    status      smallint not null,
    answer      bytea not null,
    created_at  timestamptz not null default now(),
    primary key (key_id, idem_key)
);
create index idempotency_by_age on idempotency using brin (created_at);
"""

CHUNKS = """
create table chunk (
    chunk_id    uuid not null,
    tenant      text not null,
    enterprise  text not null,
    lane        text not null,
    task_id     uuid,
    accepted_at bigint not null,
    count       smallint not null,
    traceparent text not null default '',
    payload     bytea not null,
    recipients  bigint[] not null,
    carriers    text not null,
    primary key (chunk_id)
) partition by range (chunk_id);
create index chunk_by_task on chunk (task_id) where task_id is not null;
comment on table chunk is 'never updated: what was accepted, as it is published';
comment on column chunk.task_id is 'the bulk task; null for a micro-chunk, whose tasks are numbered after the chunk id';
comment on column chunk.payload is 'JSON of the ChunkAccepted event';

create table chunk_state (
    chunk_id      uuid not null,
    state         bytea not null,
    segs          bytea,
    hooks         bytea,
    released      boolean not null default false,
    published_at  timestamptz,
    waiting_since timestamptz,
    sweeps        smallint not null default 0,
    primary key (chunk_id)
) partition by range (chunk_id);
create index chunk_state_unpublished on chunk_state (chunk_id) where published_at is null;
create index chunk_state_waiting on chunk_state (waiting_since) where waiting_since is not null;
comment on table chunk_state is
    'one octet a message (contracts.states); apart from the payload, so that raising a state does not copy the chunk';
comment on column chunk_state.segs is 'messages of several segments: msgpack of {index: one octet a segment}';
comment on column chunk_state.hooks is 'who is to be told: msgpack of [(first, count, webhook target, task id, ref)]';
comment on column chunk_state.waiting_since is
    'since when some message has shown no further stage; the sweeper publishes the chunk again when it is too long ago';

create table journal (
    chunk_id uuid not null,
    event_id text not null,
    kind     text not null,
    at       bigint not null,
    envelope bytea not null,
    primary key (chunk_id, event_id)
) partition by range (chunk_id);
comment on table journal is 'every event on a chunk as it came, once; timelines are read from here';

create table chunk_default partition of chunk default;
create table chunk_state_default partition of chunk_state default
    with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
create table journal_default partition of journal default;

create function day_floor(day date) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from day::timestamp) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

create function ensure_day(day date) returns boolean language plpgsql as $$
declare
    suffix text := to_char(day, 'YYYYMMDD');
    low uuid := day_floor(day);
    high uuid := day_floor(day + 1);
begin
    if to_regclass('journal_' || suffix) is not null then
        return false;
    end if;
    execute format('create table if not exists %I partition of chunk for values from (%L) to (%L)',
                   'chunk_' || suffix, low, high);
    execute format('create table if not exists %I partition of chunk_state for values from (%L) to (%L)
                    with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)',
                   'chunk_state_' || suffix, low, high);
    execute format('create table if not exists %I partition of journal for values from (%L) to (%L)',
                   'journal_' || suffix, low, high);
    return true;
end
$$;
comment on function ensure_day is 'make the day''s partitions; fails when the default partition already holds rows of the day';
select ensure_day((now() at time zone 'utc')::date + n) from generate_series(0, 3) n;
"""

REPLIES_AND_HOOKS = """
create table reply (
    mo_id      text primary key,
    tenant     text not null,
    enterprise text not null,
    port       text not null,
    sender     bigint not null,
    body       text not null,
    at         bigint not null,
    chunk_id   uuid,
    index      integer not null default -1,
    action     text not null default ''
);
create index reply_by_enterprise on reply (tenant, enterprise, at, mo_id);
create index reply_by_sender on reply (sender, at);

create table opt_out (
    tenant     text not null,
    enterprise text not null,
    port       text not null,
    number     bigint not null,
    at         bigint not null,
    word       text not null,
    mo_id      text not null,
    primary key (tenant, enterprise, port, number, mo_id)
);
create index opt_out_by_number on opt_out (number);

create table tariff (
    tenant     text not null,
    version    text not null,
    valid_from bigint not null,
    body       bytea not null,
    primary key (tenant, version)
);

create table webhook_target (
    target_id  bigint generated always as identity primary key,
    tenant     text not null,
    enterprise text not null,
    key_id     text not null references api_key,
    url        text not null,
    failures   integer not null default 0,
    retry_at   timestamptz not null default now(),
    last_error text not null default '',
    last_ok_at timestamptz,
    created_at timestamptz not null default now(),
    unique (tenant, enterprise, key_id, url)
);

create table webhook (
    webhook_id bigint generated always as identity primary key,
    target_id  bigint not null references webhook_target,
    chunk_id   uuid not null,
    indices    integer[] not null,
    body       bytea not null,
    created_at timestamptz not null default now(),
    sent_at    timestamptz,
    dead_at    timestamptz
);
create index webhook_due on webhook (target_id, webhook_id) where sent_at is null and dead_at is null;
create index webhook_dead on webhook (target_id, webhook_id) where dead_at is not null;
comment on column webhook.body is 'JSON list of message changes; several rows of one target travel in one request';
"""


def upgrade() -> None:
    script(REGISTER)
    script(TASKS)
    script(CHUNKS)
    script(REPLIES_AND_HOOKS)
    script(CONSUMER_OFFSET)
