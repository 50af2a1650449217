"""The journal's functions take long lists as text: the driver looks at every element of an array, 0.3 us each, some twenty a message.

Numbers come as PostgreSQL writes arrays, strings joined by the unit separator (U+001F) with one more at the end.
"""

from __future__ import annotations

from servicekit.migrate import script

revision = "0004"
down_revision = "0003"

CYCLE = """
drop function journal_cycle;
drop function journal_receipts;

create function journal_cycle(
    p_owner text, p_cycle bigint,
    s_link text[], s_slot int2[], s_epoch int8[],
    i_id int8[], i_version int4[], i_lo int4[], i_hi int4[],
    g_id int8[], g_of int4[], g_item int8[], g_off int4[], g_len int4[], t_g_idx text, t_g_seg text, t_g_tot text,
    p_at int8,
    a_id int8[], a_grant int8[], a_link text[], a_slot int2[], a_epoch int8[], a_release text[], a_lane int2[], a_at int8[],
    a_off int4[], a_len int4[], t_a_idx text, t_a_seg text, t_a_tot text, t_a_status text, t_a_cid text, t_a_rcp text,
    c_id int8[],
    n_release text[], n_ekey text[], n_lane int2[], n_grp text[], n_kind int2[], n_attempt int2[], n_before int8[], n_expires int8[],
    n_avoid text[], n_off int4[], n_len int4[], t_n_idx text, t_n_seg text
) returns boolean language plpgsql as $body$
declare
    g_idx int2[] := t_g_idx::int2[];
    g_seg int2[] := t_g_seg::int2[];
    g_tot int2[] := t_g_tot::int2[];
    a_idx int2[] := t_a_idx::int2[];
    a_seg int2[] := t_a_seg::int2[];
    a_tot int2[] := t_a_tot::int2[];
    a_status int4[] := t_a_status::int4[];
    a_rcp int8[] := t_a_rcp::int8[];
    n_idx int2[] := t_n_idx::int2[];
    n_seg int2[] := t_n_seg::int2[];
    a_cid text[] := string_to_array(t_a_cid, e'\\x1f');
    seen bigint;
    found_rows bigint;
begin
    select cycle into seen from worker_cycle where owner = p_owner for update;
    if not found then
        raise exception 'fenced: worker % is not registered', p_owner using errcode = 'GX001';
    end if;
    if seen = p_cycle then
        return false;  -- this very cycle was committed before; its caller lost sight of it
    end if;
    update worker_cycle set cycle = p_cycle where owner = p_owner;
    if cardinality(s_link) > 0 then
        perform 1 from session_slot s
            join unnest(s_link, s_slot, s_epoch) u (link, slot, epoch) on u.link = s.link and u.slot = s.slot
            where s.epoch = u.epoch and s.owner = p_owner
            order by s.link, s.slot  -- everybody who locks slots does so in this order
            for share of s;
        get diagnostics found_rows = row_count;
        if found_rows <> cardinality(s_link) then
            raise exception 'fenced: a slot of % has a new epoch', p_owner using errcode = 'GX001';
        end if;
    end if;
    if cardinality(i_id) > 0 then
        with wanted as (select * from unnest(i_id, i_version, i_lo, i_hi) u (id, version, lo, hi)),
        moved as (
            update item set pos = w.hi from wanted w
            where item.id = w.id and item.version = w.version and item.pos = w.lo
            returning item.id, item.release_id, item.lane, item.kind, item.attempt, item.grp, item.expires_at
        ), granted as (
            insert into grants (id, link, slot, epoch, release_id, lane, kind, attempt, grp, expires_at, at, indices, segs, totals)
            select g.id, s_link[g.sof], s_slot[g.sof], s_epoch[g.sof], m.release_id, m.lane, m.kind, m.attempt, m.grp, m.expires_at,
                   p_at, g_idx[g.off + 1 : g.off + g.len], g_seg[g.off + 1 : g.off + g.len], g_tot[g.off + 1 : g.off + g.len]
            from unnest(g_id, g_of, g_item, g_off, g_len) g (id, sof, item, off, len)
            join moved m on m.id = g.item
        )
        select count(*) into found_rows from moved;
        if found_rows <> cardinality(i_id) then
            raise exception 'stale: an item changed' using errcode = 'GX002';
        end if;
        delete from item where id = any(i_id) and pos >= n;
    end if;
    if cardinality(a_id) > 0 then
        insert into answer (id, grant_id, link, slot, epoch, release_id, lane, at, indices, segs, totals, statuses, carrier_ids, recipients)
        select a.id, a.grant_id, a.link, a.slot, a.epoch, a.release, a.lane, a.at,
               a_idx[a.off + 1 : a.off + a.len], a_seg[a.off + 1 : a.off + a.len], a_tot[a.off + 1 : a.off + a.len],
               a_status[a.off + 1 : a.off + a.len], a_cid[a.off + 1 : a.off + a.len], a_rcp[a.off + 1 : a.off + a.len]
        from unnest(a_id, a_grant, a_link, a_slot, a_epoch, a_release, a_lane, a_at, a_off, a_len)
             a (id, grant_id, link, slot, epoch, release, lane, at, off, len);
    end if;
    if cardinality(c_id) > 0 then
        delete from grants where id = any(c_id);
    end if;
    if cardinality(n_release) > 0 then
        insert into item (release_id, ekey, lane, grp, kind, state, not_before, expires_at, attempt, avoid, indices, segs, n)
        select n.release, n.ekey, n.lane, n.grp, n.kind, case when n.before > p_at then 0 else 1 end, n.before, n.expires, n.attempt,
               n.avoid, n_idx[n.off + 1 : n.off + n.len], n_seg[n.off + 1 : n.off + n.len], n.len
        from unnest(n_release, n_ekey, n_lane, n_grp, n_kind, n_attempt, n_before, n_expires, n_avoid, n_off, n_len)
             n (release, ekey, lane, grp, kind, attempt, before, expires, avoid, off, len);
    end if;
    return true;
end
$body$;

create function journal_receipts(
    r_link text[], r_slot int2[], r_at int8, r_off int4[], r_len int4[], r_raw bytea[],
    p_id int8[], p_link text[], p_ids text[], p_raw_id text[], p_state text[], p_code text[],
    p_recipient text[], p_sender text[], p_submitted int8[], p_done int8[], p_next int8,
    d_id int8[],
    m_id int8[], m_link text[], m_chunk uuid[], m_off int4[], m_len int4[],
    t_m_idx text, t_m_seg text, t_m_state text, t_m_code text,
    o_id int8[], o_topic text[], o_key text[], o_type text[], o_trace text[], o_payload bytea[],
    x_id int8[]
) returns boolean language plpgsql as $body$
declare
    m_idx int2[] := t_m_idx::int2[];
    m_seg int2[] := t_m_seg::int2[];
    m_state text[] := string_to_array(t_m_state, e'\\x1f');
    m_code text[] := string_to_array(t_m_code, e'\\x1f');
begin
    if cardinality(r_link) > 0 then
        insert into receipt_raw (link, slot, at, raws)
        select r.link, r.slot, r_at, r_raw[r.off + 1 : r.off + r.len] from unnest(r_link, r_slot, r_off, r_len) r (link, slot, off, len);
    end if;
    if cardinality(p_id) > 0 then
        insert into receipt_pending
            (id, link, ids, raw_id, state, code, recipient, sender, submitted_at, done_at, received_at, next_at)
        select p.id, p.link, string_to_array(p.ids, ' '), p.raw_id, p.state, p.code, p.recipient, p.sender, p.submitted, p.done,
               r_at, p_next
        from unnest(p_id, p_link, p_ids, p_raw_id, p_state, p_code, p_recipient, p_sender, p_submitted, p_done)
             p (id, link, ids, raw_id, state, code, recipient, sender, submitted, done)
        on conflict (id) do nothing;
    end if;
    if cardinality(d_id) > 0 then
        delete from receipt_pending where id = any(d_id);
    end if;
    if cardinality(m_id) > 0 then
        insert into report (id, link, chunk_id, at, indices, segs, states, codes)
        select m.id, m.link, m.chunk, r_at, m_idx[m.off + 1 : m.off + m.len], m_seg[m.off + 1 : m.off + m.len],
               m_state[m.off + 1 : m.off + m.len], m_code[m.off + 1 : m.off + m.len]
        from unnest(m_id, m_link, m_chunk, m_off, m_len) m (id, link, chunk, off, len);
    end if;
    if cardinality(o_id) > 0 then
        insert into outbox (id, topic, key, type, trace, at, payload)
        select o.id, o.topic, o.key, o.type, o.trace, r_at, o.payload
        from unnest(o_id, o_topic, o_key, o_type, o_trace, o_payload) o (id, topic, key, type, trace, payload);
    end if;
    if cardinality(x_id) > 0 then
        delete from outbox where id = any(x_id);
    end if;
    return true;
end
$body$;
"""


def upgrade() -> None:
    """Replace the functions."""
    script(CYCLE)
