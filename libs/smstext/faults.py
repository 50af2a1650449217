"""The one error smstext raises for text, octets and headers: a stable code, a place, and a sentence in both languages.

Numbers have reasons instead (see `smstext.numbers`), because a bad recipient is listed and does not stop its task.
"""

from typing import Final

FAULTS: Final[dict[str, tuple[str, str]]] = {
    "lone_surrogate": ("文本含有不成对的代理码点", "the text holds an unpaired surrogate"),
    "not_in_alphabet": ("字符不在所选字母表中", "a character is not in the chosen alphabet"),
    "not_decodable": ("字节序列不符合其编码", "the octets are not valid in their coding"),
    "octet_range": ("非压缩七位编码的字节超过 0x7F", "an octet of unpacked 7-bit text is above 0x7F"),
    "dangling_escape": ("转义符后没有字符", "an escape ends the text"),
    "too_few_octets": ("字节数少于声明的长度", "fewer octets than the length declares"),
    "too_many_segments": ("短信超过 255 条分段", "the message needs more than 255 segments"),
    "limit_too_small": ("单段容量放不下一个字符", "a segment has no room for one character"),
    "reference_range": ("参考号或端口号超出宽度", "the reference or port does not fit its width"),
    "width_invalid": ("参考号与端口号的宽度只能为 8 或 16 位", "a reference or port width is 8 or 16 bits"),
    "part_range": ("分段序号或总数无效", "the part's number or total is invalid"),
    "header_too_long": ("用户数据头过长", "the user data header is too long"),
    "header_malformed": ("用户数据头长度不一致", "the lengths inside the user data header disagree"),
    "text_as_octets": ("二进制编码不能由文本生成", "8-bit data cannot be made from text"),
    "message_id_invalid": ("消息标识格式无效", "the message id is not <32 hex>-<index>"),
}


class TextError(ValueError):
    """A text, octet string or header that cannot be what it claims to be.

    `code` is a key of `FAULTS` and never changes its meaning; `at` is the offset (characters when encoding, octets when
    decoding); `zh` and `en` are sentences for people.
    """

    def __init__(self, code: str, at: int = 0) -> None:
        self.code = code
        self.at = at
        self.zh, self.en = FAULTS[code]
        super().__init__(f"{self.en} (at {at})")
