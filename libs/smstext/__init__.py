"""Short message texts and telephone numbers: alphabets, segmentation, joining, normalisation. Pure: no I/O, no clock.

The package's data file is read once at import; nothing else is read, ever.
"""

from smstext.alphabet import DATA_CODING, Coding, choose, coding_of, decode, encode, is_gsm
from smstext.faults import FAULTS, TextError
from smstext.join import Incomplete, Joined, Joiner, Part
from smstext.numbers import (
    REASONS,
    Normalised,
    NumberError,
    carrier_of,
    kind_of,
    mask,
    normalise,
    normalise_many,
    parse,
    valid_port,
)
from smstext.segment import (
    LIMITS,
    Limits,
    Segmentation,
    reference_of,
    segment_count,
    single,
    split,
    split_octets,
)
from smstext.segment_table import SEGMENTS, Carrier, Kind
from smstext.udh import Concat, Header, split_header

__all__ = [
    "DATA_CODING",
    "FAULTS",
    "LIMITS",
    "REASONS",
    "SEGMENTS",
    "Carrier",
    "Coding",
    "Concat",
    "Header",
    "Incomplete",
    "Joined",
    "Joiner",
    "Kind",
    "Limits",
    "Normalised",
    "NumberError",
    "Part",
    "Segmentation",
    "TextError",
    "carrier_of",
    "choose",
    "coding_of",
    "decode",
    "encode",
    "is_gsm",
    "kind_of",
    "mask",
    "normalise",
    "normalise_many",
    "parse",
    "reference_of",
    "segment_count",
    "single",
    "split",
    "split_header",
    "split_octets",
    "valid_port",
]
