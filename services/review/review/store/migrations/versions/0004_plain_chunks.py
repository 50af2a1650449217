"""Recording the decision on plain chunks as one statement, in one round trip with the offset."""

from __future__ import annotations

from servicekit.migrate import script
from servicekit.tables import MOVE_OFFSETS

revision = "0004"
down_revision = "0003"

PLAINLY = """
create function pass_plainly(p_version bigint, p_chunk uuid[], p_tenant text[], p_at bigint, out passed int4)
language plpgsql as $body$
begin
    if p_version is distinct from (select version from policy_head) then
        raise exception 'the policies changed' using errcode = 'GX004';
    end if;
    if exists (select 1 from gate where chunk_id = any(p_chunk)) then
        raise exception 'a chunk was decided before' using errcode = 'GX004';
    end if;
    insert into gate (chunk_id, part, tenant, decided_at, policy_version, released, nothing)
    select c.id, 0, c.tenant, p_at, p_version, null, false from unnest(p_chunk, p_tenant) c (id, tenant)
    on conflict do nothing;
    get diagnostics passed = row_count;
    if passed <> cardinality(p_chunk) then
        raise exception 'a chunk was decided just now' using errcode = 'GX004';
    end if;
end
$body$;
comment on function pass_plainly is 'Records that chunks pass whole; declines where policies changed or a decision stands';
"""


def upgrade() -> None:
    """Create the functions."""
    script(MOVE_OFFSETS)
    script(PLAINLY)
