"""The six transfer PDUs of 3GPP TS 23.040 clause 9.2.2 as records whose fields bear the standard's names.

Records hold what is on the wire and nothing derived: TP-UD is octets (see `userdata`), TP-MTI and TP-VPF follow from
the record's type and the type of `tp_vp`. `layout` turns records into octets and back.
"""

import msgspec

from gsm.address import Address
from gsm.times import Timestamp


class Deliver(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-DELIVER, centre to phone (clause 9.2.2.1). `tp_mms` is the bit itself: 1 says no more messages wait."""

    tp_mms: int = 1
    tp_lp: int = 0
    tp_sri: int = 0
    tp_udhi: int = 0
    tp_rp: int = 0
    tp_oa: Address
    tp_pid: int = 0
    tp_dcs: int = 0
    tp_scts: Timestamp
    tp_udl: int = 0
    tp_ud: bytes = b""


class Submit(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-SUBMIT, phone to centre (clause 9.2.2.2). `tp_vp`: none, relative (int), absolute, or enhanced (7 octets)."""

    tp_rd: int = 0
    tp_srr: int = 0
    tp_udhi: int = 0
    tp_rp: int = 0
    tp_mr: int = 0
    tp_da: Address
    tp_pid: int = 0
    tp_dcs: int = 0
    tp_vp: int | Timestamp | bytes | None = None
    tp_udl: int = 0
    tp_ud: bytes = b""


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-STATUS-REPORT, centre to phone (clause 9.2.2.3). From `tp_pi` on a field may be absent: None."""

    tp_mms: int = 1
    tp_lp: int = 0
    tp_srq: int = 0
    tp_udhi: int = 0
    tp_mr: int
    tp_ra: Address
    tp_scts: Timestamp
    tp_dt: Timestamp
    tp_st: int
    tp_pi: int | None = None
    tp_pid: int | None = None
    tp_dcs: int | None = None
    tp_udl: int | None = None
    tp_ud: bytes = b""


class DeliverReport(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-DELIVER-REPORT, phone to centre (clause 9.2.2.1a). With `tp_fcs` it is in an RP-ERROR, else in an RP-ACK."""

    tp_udhi: int = 0
    tp_fcs: int | None = None
    tp_pi: int = 0
    tp_pid: int | None = None
    tp_dcs: int | None = None
    tp_udl: int | None = None
    tp_ud: bytes = b""


class SubmitReport(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-SUBMIT-REPORT, centre to phone (clause 9.2.2.2a)."""

    tp_udhi: int = 0
    tp_fcs: int | None = None
    tp_pi: int = 0
    tp_scts: Timestamp
    tp_pid: int | None = None
    tp_dcs: int | None = None
    tp_udl: int | None = None
    tp_ud: bytes = b""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-COMMAND, phone to centre (clause 9.2.2.4). `tp_ct`: 0 enquiry, 1 cancel report, 2 delete, 3 enable."""

    tp_udhi: int = 0
    tp_srr: int = 0
    tp_mr: int = 0
    tp_pid: int = 0
    tp_ct: int
    tp_mn: int = 0
    tp_da: Address
    tp_cdl: int = 0
    tp_cd: bytes = b""


Pdu = Deliver | Submit | StatusReport | DeliverReport | SubmitReport | Command

# TP-MTI (clause 9.2.3.1): its meaning depends on the direction.
TO_PHONE: dict[int, type[Deliver] | type[SubmitReport] | type[StatusReport]] = {
    0: Deliver,
    1: SubmitReport,
    2: StatusReport,
}
TO_CENTRE: dict[int, type[DeliverReport] | type[Submit] | type[Command]] = {0: DeliverReport, 1: Submit, 2: Command}
MTI: dict[type[Pdu], int] = {kind: mti for table in (TO_PHONE, TO_CENTRE) for mti, kind in table.items()}
