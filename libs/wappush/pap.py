"""PAP 2.0 documents: what a push initiator asks, what the gateway answers, and whom an address means.

Documents are checked against `pap_schema` both ways. HTTP, initiators' rights and the fate of pushes are the caller's.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from wappush.elements import Element, parse, write
from wappush.faults import PushError
from wappush.pap_schema import OPERATIONS, check

DOCTYPE: Final = (
    '<!DOCTYPE pap PUBLIC "-//WAPFORUM//DTD PAP 2.0//EN" "http://www.openmobilealliance.org/tech/DTD/pap_2.0.dtd">'
)

# Protocol reference 10.3; 5xxx are aborts by the mobile client, 5000 plus the WSP abort code.
RESULT: Final[dict[int, str]] = {
    1000: "OK",
    1001: "accepted for processing",
    2000: "bad request",
    2001: "forbidden",
    2002: "address error",
    2003: "address not found",
    2004: "push ID not found",
    2005: "capabilities mismatch",
    2006: "required capabilities not supported",
    2007: "duplicate push ID",
    2008: "cancellation not possible",
    3000: "internal server error",
    3001: "not implemented",
    3002: "version not supported",
    3003: "not possible",
    3004: "capability matching not supported",
    3005: "multiple addresses not supported",
    3006: "transformation failure",
    3007: "specified delivery method not possible",
    3008: "capabilities not available",
    3009: "required network not available",
    3010: "required bearer not available",
    3011: "replacement not supported",
    4000: "service failure",
    4001: "service unavailable",
}

_ADDRESS: Final = re.compile(
    r"WAPPUSH=([^/@]+)/TYPE=([A-Z0-9._-]{1,32})@([A-Z0-9.:\[\]-]{1,255})\Z", re.IGNORECASE | re.ASCII
)
_KINDS: Final = {"PLMN": "PLMN", "USER": "USER", "IPV4": "IPv4", "IPV6": "IPv6"}


class ClientAddress(msgspec.Struct, frozen=True):
    """`WAPPUSH=<value>/TYPE=<kind>@<gateway>`: a phone number (PLMN, `+86...`), a USER (an alias, say), an IP address."""

    value: str
    kind: str
    gateway: str

    def __str__(self) -> str:
        return f"WAPPUSH={quote(self.value, safe='+')}/TYPE={self.kind}@{self.gateway}"


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """quality-of-service, with the defaults of the DTD."""

    priority: str = "medium"
    delivery_method: str = "notspecified"
    network: str = ""
    network_required: bool = False
    bearer: str = ""
    bearer_required: bool = False


class PushMessage(msgspec.Struct, frozen=True, kw_only=True):
    """push-message as a record; the document to push is another part of the request. Times are UTC texts or empty."""

    push_id: str
    addresses: tuple[ClientAddress, ...]
    replace_push_id: str = ""
    replace_method: str = ""
    deliver_before: str = ""
    deliver_after: str = ""
    source_reference: str = ""
    notify_to: str = ""
    progress_notes: bool = False
    quality: Quality = Quality()


def parse_pap(document: bytes) -> Element:
    """The operation of a control entity (`push-message`, ...), checked. Raises `PushError`."""
    root = parse(document)
    check(root)
    return root.children[0]


def write_pap(operation: Element, product: str = "") -> bytes:
    """A control entity holding an operation, checked before it is written."""
    root = Element("pap", {"product-name": product} if product else {}, [operation])
    check(root)
    return write(root, DOCTYPE)


def parse_address(text: str) -> ClientAddress:
    """A client address; keywords in any case, %-escapes undone. Raises `PushError("address_invalid")`."""
    match = _ADDRESS.match(text)
    if match is None:
        raise PushError("address_invalid", 0, "address-value")
    kind = match[2].upper()
    return ClientAddress(unquote(match[1], errors="replace"), _KINDS.get(kind, kind), match[3])


def push_message(operation: Element) -> PushMessage:
    """The record of a checked `push-message`; raises `PushError` for an address that is none."""
    get = operation.attributes.get
    return PushMessage(
        push_id=operation.attributes["push-id"],
        addresses=addresses_of(operation),
        replace_push_id=get("replace-push-id", ""),
        replace_method=get("replace-method", ""),
        deliver_before=get("deliver-before-timestamp", ""),
        deliver_after=get("deliver-after-timestamp", ""),
        source_reference=get("source-reference", ""),
        notify_to=get("ppg-notify-requested-to", ""),
        progress_notes=get("progress-notes-requested", "false") == "true",
        quality=quality_of(operation),
    )


def push_element(message: PushMessage) -> Element:
    """The element of a record, as an initiator sends it."""
    attributes = {
        "push-id": message.push_id,
        "replace-push-id": message.replace_push_id,
        "replace-method": message.replace_method,
        "deliver-before-timestamp": message.deliver_before,
        "deliver-after-timestamp": message.deliver_after,
        "source-reference": message.source_reference,
        "ppg-notify-requested-to": message.notify_to,
        "progress-notes-requested": "true" if message.progress_notes else "",
    }
    children = [address_element(address) for address in message.addresses]
    if message.quality != Quality():
        children.append(_quality_element(message.quality))
    return element("push-message", attributes, children)


def addresses_of(operation: Element) -> tuple[ClientAddress, ...]:
    """The addresses an element holds."""
    return tuple(parse_address(child.attributes["address-value"]) for child in operation.all("address"))


def quality_of(operation: Element) -> Quality:
    """The quality of service an element asks for, with the defaults for what it does not say."""
    found = operation.one("quality-of-service")
    given = found.attributes if found else {}
    return Quality(
        priority=given.get("priority", "medium"),
        delivery_method=given.get("delivery-method", "notspecified"),
        network=given.get("network", ""),
        network_required=given.get("network-required", "false") == "true",
        bearer=given.get("bearer", ""),
        bearer_required=given.get("bearer-required", "false") == "true",
    )


def address_element(address: ClientAddress) -> Element:
    """`<address address-value="..."/>`."""
    return Element("address", {"address-value": str(address)})


def element(name: str, attributes: dict[str, str], children: list[Element] | None = None) -> Element:
    """An element of the vocabulary; attributes without a value are left out."""
    return Element(name, {key: value for key, value in attributes.items() if value}, children or [])


def result_element(name: str, code: int, children: list[Element] | None = None, **attributes: str) -> Element:
    """An element with a result code and its description, such as `response-result` or `cancel-result`."""
    named = {key.replace("_", "-"): value for key, value in attributes.items()}
    return element(name, {**named, "code": str(code), "desc": RESULT.get(code, "")}, children)


def push_response(push_id: str, code: int, *, reply_time: str = "", sender: str = "") -> Element:
    """The answer to a push-message: 1001 when it was taken, else why not."""
    attributes = {"push-id": push_id, "sender-address": sender, "reply-time": reply_time}
    return element("push-response", attributes, [result_element("response-result", code)])


def bad_message(code: int, fragment: str = "") -> Element:
    """The answer to what is no PAP document; the fragment is cut to 200 characters of what XML can hold."""
    kept = "".join(char if char.isprintable() else "?" for char in fragment[:200])
    return result_element("badmessage-response", code, bad_message_fragment=kept)


def _quality_element(quality: Quality) -> Element:
    return element(
        "quality-of-service",
        {
            "priority": quality.priority,
            "delivery-method": quality.delivery_method,
            "network": quality.network,
            "network-required": "true" if quality.network_required else "",
            "bearer": quality.bearer,
            "bearer-required": "true" if quality.bearer_required else "",
        },
    )


__all__ = [
    "DOCTYPE",
    "OPERATIONS",
    "RESULT",
    "ClientAddress",
    "PushMessage",
    "Quality",
    "address_element",
    "addresses_of",
    "bad_message",
    "element",
    "parse_address",
    "parse_pap",
    "push_element",
    "push_message",
    "push_response",
    "quality_of",
    "result_element",
    "write_pap",
]
