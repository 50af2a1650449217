"""The one error of gsm: a stable code, the octet (or character) where it was found, a sentence in both languages."""

from typing import Final

FAULTS: Final[dict[str, tuple[str, str]]] = {
    "truncated": ("数据在字段中间结束", "the octets end inside a field"),
    "not_hex": ("不是十六进制字符串", "not a string of hexadecimal octets"),
    "wrong_type": ("消息类型不符", "the message is of another type"),
    "reserved_type": ("保留的消息类型", "the message type is reserved"),
    "length_mismatch": ("声明长度与数据不符", "the declared length does not fit the octets"),
    "address_invalid": ("地址含有无效字符", "the address holds a character it cannot"),
    "address_too_long": ("地址过长", "the address is too long"),
    "text_not_encodable": ("文本无法用该编码表示", "the text cannot be written in this coding"),
    "user_data_too_long": ("用户数据超过 140 字节", "the user data is above 140 octets"),
    "user_data_conflict": ("TP-UD 与 text/UDH 不一致", "TP-UD and text or UDH disagree"),
    "time_invalid": ("时间格式或取值无效", "the time is not valid"),
    "field_missing": ("缺少必需字段", "a required field is missing"),
    "field_unknown": ("未知字段", "a field is not known"),
    "field_range": ("字段取值超出范围", "a field is out of range"),
    "not_ready": ("调制解调器尚未就绪", "the modem is not ready"),
    "busy": ("已有一条短信在发送", "a message is already in flight"),
    "unknown_handle": ("没有该待确认的消息", "no such message awaits an answer"),
}


class GsmError(ValueError):
    """Octets, fields or a call that cannot be. `code` is a key of `FAULTS`; `at` is an octet offset; `field` a name."""

    def __init__(self, code: str, at: int = 0, field: str = "") -> None:
        self.code = code
        self.at = at
        self.field = field
        self.zh, self.en = FAULTS[code]
        super().__init__(f"{self.en} ({field or 'octet'} at {at})")
