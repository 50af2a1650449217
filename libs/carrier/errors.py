"""The declared errors: whose fault it is decides the type, and nothing else is ever raised on purpose."""

from __future__ import annotations


class CarrierError(ValueError):
    """Octets that are not a PDU, or fields that cannot be one.

    ``offset`` is the octet at which decoding (or the encoded PDU being built) went wrong, counted from its first octet.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (octet {offset})")
        self.reason = reason
        self.offset = offset


class UsageError(RuntimeError):
    """The caller asked the session for something it may not do now; the session is unchanged."""


class NotBoundError(UsageError):
    """The session is not bound, is draining, or was bound in a mode that may not send this."""


class WindowFullError(UsageError):
    """More requests were handed over than ``window_free`` says; none of them was taken."""


class RejectedItemError(UsageError):
    """One item of a batch cannot be written in this dialect; none of the batch was taken.

    ``token`` names the item, so that the caller fails that one and hands the others over again.
    """

    def __init__(self, token: int, reason: str) -> None:
        super().__init__(reason)
        self.token = token
        self.reason = reason
