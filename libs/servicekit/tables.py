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
