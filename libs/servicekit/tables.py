"""SQL of tables that a library needs inside a service's own schema; migrations run these texts with `servicekit.migrate.script`."""

from __future__ import annotations

CONSUMER_OFFSET = """
create table consumer_offset (
    group_name  text    not null,
    topic       text    not null,
    part        integer not null check (part >= 0),
    next_offset bigint  not null check (next_offset >= 0),
    primary key (group_name, topic, part)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
comment on table consumer_offset is
    'Next record each consumer group of this service takes; moved by compare-and-set in the transaction of the effect';
"""
"""Where a consumer stands.  One row a partition, updated several times a second: hence the fill factor (HOT updates) and the vacuum."""

MOVE_OFFSETS = """
create function move_offsets(p_group text, p_topic text[], p_part int4[], p_expected int8[], p_next int8[])
returns boolean language plpgsql as $body$
declare
    moved bigint;
begin
    update consumer_offset o set next_offset = m.next
        from unnest(p_topic, p_part, p_expected, p_next) m (topic, part, expected, next)
        where o.group_name = p_group and o.topic = m.topic and o.part = m.part and o.next_offset = m.expected;
    get diagnostics moved = row_count;
    if moved <> cardinality(p_topic) then
        raise exception 'fenced: % of % offsets of group % were moved by another process',
            cardinality(p_topic) - moved, cardinality(p_topic), p_group using errcode = 'GX003';
    end if;
    return true;
end
$body$;
"""
"""The same compare-and-set as a function, for effects that are one statement (`bus.handling.Call`); a migration of a service that has such
an effect runs it after `CONSUMER_OFFSET`."""
