"""The PAP 2.0 vocabulary as one table, and the check of a document against it (WAP-247; protocol reference section 10).

This is the local DTD: which elements hold which, which attributes they have, and what those may say. No DTD is fetched.
"""

import re
from typing import Final

import msgspec

from wappush.elements import Element
from wappush.faults import PushError

_TIME: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ\Z", re.ASCII)
_CODE: Final = re.compile(r"[1-5]\d{3}\Z", re.ASCII)
_MOST_VALUE: Final = 2048  # characters: addresses, URLs and push ids are far shorter
MOST_ADDRESSES: Final = 1000

TIME: Final = ("time",)
CODE: Final = ("code",)
YES_NO: Final = ("true", "false")
STATES: Final = (
    "undeliverable", "pending", "expired", "delivered", "aborted", "timeout", "cancelled", "rejected", "unknown",
)  # fmt: skip


class Rule(msgspec.Struct, frozen=True):
    """What an element may hold. Attributes map to None (any text), `TIME`, `CODE` or the values allowed.

    `children` maps a name to (least, most); `text` says whether characters may stand in it.
    """

    required: dict[str, tuple[str, ...] | None] = {}
    optional: dict[str, tuple[str, ...] | None] = {}
    children: dict[str, tuple[int, int]] = {}
    text: bool = False


_MANY: Final = (0, MOST_ADDRESSES)
_SOME: Final = (1, MOST_ADDRESSES)
_MAYBE: Final = (0, 1)

_RESULT: Final[dict[str, tuple[str, ...] | None]] = {"code": CODE}
_DESCRIPTION: Final[dict[str, tuple[str, ...] | None]] = {"desc": None}

RULES: Final[dict[str, Rule]] = {
    "push-message": Rule(
        {"push-id": None},
        {
            "replace-push-id": None,
            "replace-method": ("pending-only", "all"),
            "deliver-before-timestamp": TIME,
            "deliver-after-timestamp": TIME,
            "source-reference": None,
            "ppg-notify-requested-to": None,
            "progress-notes-requested": YES_NO,
        },
        {"address": _SOME, "quality-of-service": _MAYBE},
    ),
    "address": Rule({"address-value": None}),
    "quality-of-service": Rule(
        {},
        {
            "priority": ("high", "medium", "low"),
            "delivery-method": ("confirmed", "preferconfirmed", "unconfirmed", "notspecified"),
            "network": None,
            "network-required": YES_NO,
            "bearer": None,
            "bearer-required": YES_NO,
        },
    ),
    "push-response": Rule(
        {"push-id": None},
        {"sender-address": None, "sender-name": None, "reply-time": TIME},
        {"progress-note": _MANY, "response-result": (1, 1)},
    ),
    "progress-note": Rule({"stage": None}, {"note": None, "time": TIME}),
    "response-result": Rule(_RESULT, _DESCRIPTION),
    "resultnotification-message": Rule(
        {"push-id": None, "message-state": STATES, "code": CODE},
        {"sender-address": None, "sender-name": None, "received-time": TIME, "event-time": TIME, "desc": None},
        {"address": _SOME, "quality-of-service": _MAYBE},
    ),
    "resultnotification-response": Rule({"push-id": None, "code": CODE}, _DESCRIPTION, {"address": _MANY}),
    "cancel-message": Rule({"push-id": None}, {}, {"address": _MANY}),
    "cancel-response": Rule({"push-id": None}, {}, {"cancel-result": _SOME}),
    "cancel-result": Rule(_RESULT, _DESCRIPTION, {"address": _MANY}),
    "statusquery-message": Rule({"push-id": None}, {}, {"address": _MANY}),
    "statusquery-response": Rule({"push-id": None}, {}, {"statusquery-result": _SOME}),
    "statusquery-result": Rule(
        {"message-state": STATES, "code": CODE},
        {"event-time": TIME, "desc": None},
        {"address": _MANY, "quality-of-service": _MAYBE},
    ),
    "ccq-message": Rule({}, {"query-id": None, "app-id": None}, {"address": (1, 1)}),
    "ccq-response": Rule({"code": CODE}, {"query-id": None, "desc": None}, {"address": (1, 1)}),
    "badmessage-response": Rule({"code": CODE}, {"desc": None, "bad-message-fragment": None}),
}
OPERATIONS: Final = tuple(name for name in RULES if name.endswith(("-message", "-response")))
RULES["pap"] = Rule({}, {"product-name": None}, dict.fromkeys(OPERATIONS, (0, 1)))


def check(root: Element) -> None:
    """Raise `PushError`, naming the element or attribute, where a document is not PAP 2.0."""
    if root.name != "pap":
        raise PushError("element_unknown", 0, root.name)
    if not root.children:
        raise PushError("element_missing", 0, "pap")
    if len(root.children) > 1:  # exactly one operation
        raise PushError("element_repeated", 0, root.children[1].name)
    _check(root)


def _check(element: Element) -> None:
    rule = RULES[element.name]
    for name, value in element.attributes.items():
        if name not in rule.required and name not in rule.optional:
            raise PushError("attribute_unknown", 0, name)
        _check_value(name, value, rule.required.get(name) or rule.optional.get(name))
    for name in rule.required:
        if not element.attributes.get(name):
            raise PushError("attribute_missing", 0, name)
    if element.text and not rule.text:
        raise PushError("text_misplaced", 0, element.name)
    for child in element.children:
        if child.name not in rule.children:
            raise PushError("element_unknown", 0, child.name)
        _check(child)
    for name, (least, most) in rule.children.items():
        count = len(element.all(name))
        if count < least:
            raise PushError("element_missing", 0, name)
        if count > most:
            raise PushError("element_repeated", 0, name)


def _check_value(name: str, value: str, allowed: tuple[str, ...] | None) -> None:
    if allowed is None:
        valid = len(value) <= _MOST_VALUE
    elif allowed == TIME:
        valid = _TIME.match(value) is not None
    elif allowed == CODE:
        valid = _CODE.match(value) is not None
    else:
        valid = value in allowed
    if not valid:
        raise PushError("attribute_invalid", 0, name)
