"""Rule sets, their activations, code templates, and the log of changes that running processes follow."""

from servicekit.migrate import script

revision = "0001"
down_revision = None


def upgrade() -> None:
    script("""
create table ruleset (
    number     integer generated always as identity primary key,
    digest     text        not null,
    rules      bytea       not null,
    count      integer     not null check (count >= 0),
    note       text        not null default '',
    created_by text        not null,
    created_at timestamptz not null default now()
);
comment on table ruleset is 'Immutable rule sets; rules is the canonical JSON whose SHA-256 is the digest';

create table policy_change (
    id      bigint generated always as identity primary key,
    kind    text        not null check (kind in ('activate', 'rollback', 'template')),
    ruleset integer     references ruleset,
    what    jsonb       not null default '{}',
    by_whom text        not null,
    at      timestamptz not null default now(),
    check ((kind = 'template') = (ruleset is null))
);
comment on table policy_change is 'Append only. The newest row with a ruleset names the set in force; processes follow
max(id)'; create index policy_change_ruleset on policy_change (id desc) where ruleset is not null;

create table code_template (
    id           bigint generated always as identity primary key,
    tenant       text        not null,
    port         text        not null,
    pattern      text        not null,
    approved_by  text        not null,
    approved_at  timestamptz not null default now(),
    withdrawn_at timestamptz
);
create unique index code_template_standing on code_template (tenant, port, pattern) where withdrawn_at is null;
comment on table code_template is 'Approved texts of verification codes per port, with {code} once';
""")


def downgrade() -> None:
    script("drop table code_template; drop table policy_change; drop table ruleset;")
