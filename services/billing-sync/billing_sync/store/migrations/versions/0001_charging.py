"""Charging: state vectors, answers, closures, files and tariffs."""

from servicekit.migrate import script
from servicekit.tables import CONSUMER_OFFSET

revision = "0001"
down_revision = None


def upgrade() -> None:
    script(CONSUMER_OFFSET)
    script("""
create table chunk (
    chunk_id      uuid     primary key,
    tenant        text     not null,
    enterprise    text     not null,
    stride        smallint not null check (stride between 1 and 255),
    vector        bytea    not null,
    open          integer  not null check (open >= 0),
    first_open_at bigint   not null
) with (fillfactor = 70);
comment on table chunk is 'One octet a segment: what makes repeated events harmless. first_open_at in Unix ms, 0 when
none is open'; create index chunk_term on chunk (first_open_at) where open > 0;

create table answer (
    id          bigint generated always as identity primary key,
    chunk_id    uuid       not null,
    tenant      text       not null,
    enterprise  text       not null,
    lane        text       not null,
    link        text       not null,
    carrier     text       not null,
    protocol    text       not null,
    batch       bigint     not null,
    at          bigint     not null,
    tariff      integer    not null,
    indices     smallint[] not null,
    segments    smallint[] not null,
    totals      smallint[] not null,
    recipients  bigint[]   not null,
    senders     text[]     not null,
    carrier_ids text[]     not null,
    task_ids    text[]     not null,
    refs        text[]     not null
);
comment on table answer is 'Accepted segments as arrays per answer batch; each segment in exactly one row. senders,
task_ids, refs: one for all or one each'; create index answer_chunk on answer (chunk_id);

create table early (
    chunk_id uuid     not null,
    index    smallint not null,
    segment  smallint not null,
    code     text     not null,
    done_at  bigint   not null,
    primary key (chunk_id, index, segment)
);
comment on table early is 'Receipts that came before their answers; rare, and gone when the answer comes';

create table file (
    no           bigint      primary key check (no > 0),
    name         text        not null unique,
    node         text        not null,
    encoding     text        not null,
    begin_at     bigint      not null,
    end_at       bigint      not null,
    records      integer     not null check (records > 0),
    total        numeric     not null,
    octets       bigint      not null,
    sha256       bytea       not null,
    made_at      timestamptz not null default now(),
    published_at timestamptz,
    offered_at   timestamptz,
    fetched_at   timestamptz,
    acked_at     timestamptz,
    refusal      text        not null default '',
    bad_lines    jsonb       not null default '[]',
    resent       integer     not null default 0
);
comment on table file is 'Numbered without gaps under an advisory lock; the row is the outbox of its SegmentsCharged
events'; create index file_unpublished on file (no) where published_at is null;
create index file_unacknowledged on file (no) where acked_at is null;

create table closure (
    id       bigint generated always as identity primary key,
    chunk_id uuid       not null,
    at       bigint     not null,
    indices  smallint[] not null,
    segments smallint[] not null,
    stages   smallint[] not null,
    codes    text[]     not null,
    done_at  bigint[]   not null,
    marked   boolean[]  not null,
    file_no  bigint     references file
);
comment on table closure is 'Records that closed together; file_no is given once and never changes';
create index closure_unfiled on closure (at, id) where file_no is null;
create index closure_file on closure (file_no) where file_no is not null;
create index closure_chunk on closure (chunk_id);

create table tariff (
    number       integer generated always as identity primary key,
    tenant       text        not null,
    version      text        not null,
    valid_from   bigint      not null,
    body         jsonb       not null,
    created_by   text        not null,
    created_at   timestamptz not null default now(),
    published_at timestamptz,
    unique (tenant, version),
    unique (tenant, valid_from)
);
comment on table tariff is 'Immutable versions; the row is the outbox of TariffActivated';
""")


def downgrade() -> None:
    script("drop table tariff, closure, file, early, answer, chunk, consumer_offset;")
