"""What carrier connections count."""

from __future__ import annotations

from servicekit.metrics import counter

CONNECTIONS = counter(
    "guanxin_links_connections_total", "connections", "TCP connections of carrier sessions made", ("role",)
)
OCTETS_READ = counter("guanxin_links_read_octets_total", "octets", "Octets read from carrier connections", ("role",))
OCTETS_WRITTEN = counter(
    "guanxin_links_written_octets_total", "octets", "Octets written to carrier connections", ("role",)
)
WRITES_REFUSED = counter(
    "guanxin_links_writes_refused_total", "writes", "Writes not made because the session's lease had run out", ("role",)
)
