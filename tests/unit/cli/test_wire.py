"""The dialects that ``decode`` and ``encode`` know: identity on known octets, one error with the octet offset."""

import json

import pytest

from guanxin import wire

KNOWN = {
    "smpp34": "00000010000000150000000000000001",
    "gsm-submit": "0031000d91683108000000f00000a70cc83468c38b6d7ca04db906",
    "gsm-deliver": "0891683108501705f0040d91683108000000f00008031020304050230460597df0",
    "gsm-status": "00062a0d91683108000000f0031020304050230310203040502300",
    "wappush": "0605040b8423f0010601b002066a00850b036578616d706c6500870378000601",
    "wbxml": "02066a00850b036578616d706c6500870378000601",
}


@pytest.mark.parametrize("dialect", sorted(KNOWN))
def test_decoded_fields_encode_to_the_same_octets_through_json(dialect: str) -> None:
    assert dialect in wire.names()
    decode, encode = wire.codec(dialect)
    fields = json.loads(json.dumps(decode(bytes.fromhex(KNOWN[dialect]))))
    assert encode(fields).hex() == KNOWN[dialect]


@pytest.mark.parametrize("dialect", sorted(KNOWN))
def test_malformed_octets_name_the_octet(dialect: str) -> None:
    octets = bytes.fromhex(KNOWN[dialect])[:9]
    with pytest.raises(wire.WireError) as caught:
        wire.codec(dialect)[0](octets)
    assert caught.value.offset is not None
    assert 0 <= caught.value.offset <= len(octets)


@pytest.mark.parametrize("dialect", ["gsm-submit", "wappush", "wbxml"])
def test_malformed_fields_name_the_field(dialect: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.codec(dialect)[1]({"nonsense": 1})
    assert "nonsense" in caught.value.reason
    assert caught.value.offset is None


def test_an_unknown_dialect_is_no_dialect() -> None:
    with pytest.raises(KeyError):
        wire.codec("telex")
