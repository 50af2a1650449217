"""Which of an enterprise's recent contents a new one belongs to: the same text first, then the most similar one.

One `Clusters` holds the contents of one enterprise inside the window.  Bounded: the longest unseen are forgotten
first.  A
cluster's number is the exact fingerprint of its first content, so two processes that see the same text agree without
talking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from review.domain.content import NEAR, Fingerprint, similarity

MAX_CLUSTERS = 2_000
"""Contents kept per enterprise; 2,000 sketches are about 1 MB."""

_SHARED_AT_LEAST = 4
"""Hashes two sketches must share to be worth comparing: below this the estimate cannot reach `NEAR` for any length
that matters.
"""


@dataclass(slots=True)
class _Cluster:
    sketch: tuple[int, ...]
    seen_minute: int


class Clusters:
    """The recent contents of one enterprise."""

    def __init__(self, known: Iterable[tuple[int, tuple[int, ...], int]] = ()) -> None:
        """``known`` are rows (cluster, sketch, minute last seen), as the store keeps them."""
        self._clusters: dict[int, _Cluster] = {}
        self._by_hash: dict[int, list[int]] = {}
        self._exact: dict[int, int] = {}
        for cluster, sketch, minute in known:
            self._add(cluster, sketch, minute)

    def __len__(self) -> int:
        return len(self._clusters)

    def assign(self, content: Fingerprint, minute: int) -> tuple[int, bool]:
        """Return (cluster, whether it is new) for a content seen at ``minute`` (Unix minutes)."""
        cluster = self._exact.get(content.exact)
        if cluster is None:
            cluster = self._nearest(content)
        if cluster is not None:
            self._exact[content.exact] = cluster
            entry = self._clusters[cluster]
            entry.seen_minute = max(entry.seen_minute, minute)
            return cluster, False
        self._add(content.exact, content.sketch, minute)
        if len(self._clusters) > MAX_CLUSTERS:
            self._forget_oldest()
        return content.exact, True

    def sketch_of(self, cluster: int) -> tuple[int, ...]:
        """Return the sketch of the cluster's first content."""
        return self._clusters[cluster].sketch

    def _nearest(self, content: Fingerprint) -> int | None:
        shared: Counter[int] = Counter()
        for value in content.sketch:
            shared.update(self._by_hash.get(value, ()))
        need = min(_SHARED_AT_LEAST, len(content.sketch))
        best, best_score = None, NEAR
        for cluster, count in shared.most_common(16):
            if count < need:
                break
            score = similarity(content.sketch, self._clusters[cluster].sketch)
            if score >= best_score:
                best, best_score = cluster, score
        return best

    def _add(self, cluster: int, sketch: tuple[int, ...], minute: int) -> None:
        self._clusters[cluster] = _Cluster(sketch, minute)
        self._exact[cluster] = cluster
        for value in sketch:
            self._by_hash.setdefault(value, []).append(cluster)

    def _forget_oldest(self) -> None:
        # An eighth at a time, so that the cost is spread over many contents.
        old = sorted(self._clusters, key=lambda cluster: self._clusters[cluster].seen_minute)[: MAX_CLUSTERS // 8]
        kept = {c: e for c, e in self._clusters.items() if c not in set(old)}
        self._clusters, self._by_hash, self._exact = {}, {}, {}
        for cluster, entry in kept.items():
            self._add(cluster, entry.sketch, entry.seen_minute)
