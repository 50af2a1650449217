"""Taking releases in as one statement: releases, items, events and ports, and for codes the claim, in one round trip with the offset."""

from __future__ import annotations

from servicekit.migrate import script
from servicekit.tables import MOVE_OFFSETS

revision = "0007"
down_revision = "0006"

TAKE_IN = """
create function take_in(
    p_at int8,
    r_id text[], r_chunk uuid[], r_ekey text[], r_tenant text[], r_enterprise text[], r_lane int2[], r_payload bytea[], r_trace text[],
    r_tasks text[], r_tasks_off int4[], r_tasks_len int4[],
    i_release int4[], i_grp text[], i_before int8[], i_expires int8[], i_off int4[], i_len int4[], i_idx int2[],
    i_link text[], i_slot int2[], i_epoch int8[],
    e_release int4[], e_topic text[], e_key text[], e_type text[], e_trace text[], e_payload bytea[], p_block int4,
    o_port text[], o_ekey text[], o_tenant text[], o_enterprise text[],
    out fresh text[], out items int8[], out claimed int8[], out blocks int8[]
) language plpgsql as $body$
declare
    gone text[];
begin
    with taken as (
        insert into release (release_id, chunk_id, ekey, tenant, enterprise, lane, task_ids, payload, traceparent, taken_at)
        select r.id, r.chunk, r.ekey, r.tenant, r.enterprise, r.lane, r_tasks[r.off + 1 : r.off + r.len], r.payload, r.trace, p_at
        from unnest(r_id, r_chunk, r_ekey, r_tenant, r_enterprise, r_lane, r_payload, r_trace, r_tasks_off, r_tasks_len)
             r (id, chunk, ekey, tenant, enterprise, lane, payload, trace, off, len)
        on conflict (release_id) do nothing returning release_id
    )
    select array_agg(release_id) into fresh from taken;
    if fresh is null then
        fresh := '{}'; items := '{}'; claimed := '{}'; blocks := '{}';
        return;
    end if;
    select array_agg(task_id) into gone from cancelled_task where task_id = any(r_tasks);
    select coalesce(array_agg(nextval('item_id_seq')), '{}') into items from generate_series(1, cardinality(i_release));
    with placed as (
        insert into item (id, release_id, ekey, lane, grp, kind, state, not_before, expires_at, indices, n, sweep,
                          claim_link, claim_slot, claim_epoch)
        overriding system value
        select items[i.ord::int4], r_id[i.release], r_ekey[i.release], r_lane[i.release], i.grp, 0,
               case when i.before > p_at then 0 else 1 end, i.before, i.expires, i_idx[i.off + 1 : i.off + i.len], i.len, swept,
               case when claims then i.link end, case when claims then i.slot end, case when claims then i.epoch end
        from unnest(i_release, i_grp, i_before, i_expires, i_off, i_len, i_link, i_slot, i_epoch) with ordinality
             i (release, grp, before, expires, off, len, link, slot, epoch, ord)
        cross join lateral (
            select coalesce(r_tasks[r_tasks_off[i.release] + 1 : r_tasks_off[i.release] + r_tasks_len[i.release]] && gone, false) swept
        ) s
        cross join lateral (
            select not swept and i.link is not null and exists (
                select 1 from session_slot t where t.link = i.link and t.slot = i.slot and t.epoch = i.epoch) claims
        ) c
        where r_id[i.release] = any(fresh)
        order by i.ord
        returning id, claim_link
    )
    select coalesce(array_agg(id) filter (where claim_link is not null), '{}') into claimed from placed;
    select coalesce(array_agg(nextval('journal_id')), '{}') into blocks
        from generate_series(1, (cardinality(e_release) + p_block - 1) / p_block);
    insert into outbox (id, topic, key, type, trace, at, payload)
    select blocks[1 + ((e.ord - 1) / p_block)::int4] + (e.ord - 1) % p_block, e.topic, e.key, e.type, e.trace, p_at, e.payload
    from unnest(e_release, e_topic, e_key, e_type, e_trace, e_payload) with ordinality e (release, topic, key, type, trace, payload, ord)
    where r_id[e.release] = any(fresh);
    if cardinality(o_port) > 0 then
        insert into port_owner (port, ekey, tenant, enterprise, seen)
        select o.port, o.ekey, o.tenant, o.enterprise, p_at
        from unnest(o_port, o_ekey, o_tenant, o_enterprise) o (port, ekey, tenant, enterprise) order by o.port
        on conflict (port) do update set ekey = excluded.ekey, tenant = excluded.tenant, enterprise = excluded.enterprise,
            seen = excluded.seen;
    end if;
end
$body$;
comment on function take_in is 'Records releases, each once, with items and events; an item whose place is named is claimed as well';
"""


def upgrade() -> None:
    """Create the functions."""
    script(MOVE_OFFSETS)
    script(TAKE_IN)
