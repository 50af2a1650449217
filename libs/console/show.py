"""How figures, times and texts are shown in pages: one place, both languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from markupsafe import Markup, escape

from console.i18n import Translator

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def moment(at_ms: int | None) -> str:
    """Return Unix ms as local date and time, a dash for none."""
    if not at_ms:
        return "–"
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def hour(at_ms: int | None) -> str:
    """Return Unix ms as local month, day and minute."""
    if not at_ms:
        return "–"
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(SHANGHAI).strftime("%m-%d %H:%M")


def span(seconds: float, t: Translator) -> str:
    """Return a length of time in its two largest units."""
    whole = max(0, round(seconds))
    for unit, size, below in (("d", 86_400, 3_600), ("h", 3_600, 60), ("m", 60, 1)):
        if whole >= size:
            smaller = {3_600: "h", 60: "m", 1: "s"}[below]
            rest = whole % size // below
            text = t(f"unit.{unit}", n=whole // size)
            return f"{text} {t(f'unit.{smaller}', n=rest)}" if rest else text
    return t("unit.s", n=whole)


def count(number: float) -> str:
    """Return a count with separators."""
    return f"{number:,.0f}"


def marked(text: str, spans: list[tuple[int, int, str]]) -> Markup:
    """Return the text as HTML with findings marked: (start, end, title); overlapping ones are joined where they start."""
    out: list[str] = []
    position = 0
    for start, end, title in sorted(spans):
        begin = max(start, position)
        if end <= begin or begin >= len(text):
            continue
        out.append(str(escape(text[position:begin])))
        out.append(f'<mark title="{escape(title)}">{escape(text[begin:end])}</mark>')
        position = min(end, len(text))
    out.append(str(escape(text[position:])))
    # Every piece was escaped above.
    return Markup("".join(out))  # noqa: S704
