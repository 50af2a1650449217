"""A failure of the local stack that its user can act on: what failed, and what to do about it."""

from __future__ import annotations

from guanxin.i18n import t


class StackError(Exception):
    """What failed (``what``) and what to do (``todo``), each in the operator's language; ``code`` is stable."""

    def __init__(self, code: str, what: tuple[str, str], todo: tuple[str, str] = ("", "")) -> None:
        """Take each sentence as (Chinese, English)."""
        self.code = code
        self.what = t(*what)
        self.todo = t(*todo)
        super().__init__(f"{self.what} {self.todo}".strip())
