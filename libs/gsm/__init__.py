"""GSM short messages: TPDUs in every alphabet and address type, and the AT dialogue. Pure: no I/O, no clock."""

from gsm.address import Address, address_of
from gsm.codec import decode_fields, encode_fields
from gsm.codes import Action, Delivery, action_of, delivery_of, is_final
from gsm.compose import Options, parts, submits
from gsm.faults import FAULTS, GsmError
from gsm.frame import Frame, decode_frame, encode_frame, octets_of
from gsm.modem import Modem
from gsm.modem_events import Config
from gsm.pdu import Command, Deliver, DeliverReport, Pdu, StatusReport, Submit, SubmitReport
from gsm.times import Timestamp, relative_validity, timestamp_of
from gsm.userdata import UserData, decode_user_data, encode_user_data

__all__ = [
    "FAULTS",
    "Action",
    "Address",
    "Command",
    "Config",
    "Deliver",
    "DeliverReport",
    "Delivery",
    "Frame",
    "GsmError",
    "Modem",
    "Options",
    "Pdu",
    "StatusReport",
    "Submit",
    "SubmitReport",
    "Timestamp",
    "UserData",
    "action_of",
    "address_of",
    "decode_fields",
    "decode_frame",
    "decode_user_data",
    "delivery_of",
    "encode_fields",
    "encode_frame",
    "encode_user_data",
    "is_final",
    "octets_of",
    "parts",
    "relative_validity",
    "submits",
    "timestamp_of",
]
