"""The one error of wappush: a stable code, the octet where it was found, the field, a sentence in both languages."""

from typing import Final

FAULTS: Final[dict[str, tuple[str, str]]] = {
    "truncated": ("数据在字段中间结束", "the octets end inside a field"),
    "trailing": ("文档之后还有多余数据", "octets follow the end of the document"),
    "number_too_large": ("变长整数过大", "a variable length integer is too large"),
    "version_unsupported": ("不支持的 WBXML 版本", "the WBXML version is not supported"),
    "document_unknown": ("不是 SI 或 SL 文档", "the document is neither SI nor SL"),
    "charset_unsupported": ("不支持的字符集", "the character set is not supported"),
    "token_unknown": ("未知的标记", "a token is not known"),
    "token_misplaced": ("标记出现在不允许的位置", "a token stands where it cannot"),
    "too_deep": ("元素嵌套过深", "elements are nested too deep"),
    "too_long": ("文档过长", "the document is too long"),
    "text_invalid": ("文本含有无法表示的字符", "a text holds a character that cannot be written"),
    "date_invalid": ("日期无效，应为 YYYY-MM-DDThh:mm:ssZ", "a date is not YYYY-MM-DDThh:mm:ssZ"),
    "xml_malformed": ("XML 格式错误", "the XML is not well formed"),
    "xml_forbidden": ("不允许实体声明或内部 DTD", "entity declarations and internal DTDs are refused"),
    "element_unknown": ("未知的元素", "an element is not known here"),
    "element_missing": ("缺少必需元素", "a required element is missing"),
    "element_repeated": ("元素出现次数过多", "an element occurs too often"),
    "attribute_unknown": ("未知的属性", "an attribute is not known"),
    "attribute_missing": ("缺少必需属性", "a required attribute is missing"),
    "attribute_invalid": ("属性值无效", "an attribute's value is not valid"),
    "text_misplaced": ("此元素内不允许文本", "an element holds text that it cannot"),
    "not_a_push": ("不是 WSP Push PDU", "not a WSP push PDU"),
    "header_malformed": ("WSP 首部格式错误", "a WSP header is malformed"),
    "multipart_malformed": ("multipart 消息格式错误", "the multipart message is malformed"),
    "address_invalid": ("PAP 地址无效", "the PAP address is not valid"),
    "field_missing": ("缺少必需字段", "a required field is missing"),
    "field_unknown": ("未知字段", "a field is not known"),
    "field_invalid": ("字段取值无效", "a field's value is not valid"),
    "not_hex": ("不是十六进制字符串", "not a string of hexadecimal octets"),
}


class PushError(ValueError):
    """Octets, a document or fields that cannot be. `code` is a key of `FAULTS`; `at` an octet offset; `field` a name."""

    def __init__(self, code: str, at: int = 0, field: str = "") -> None:
        self.code = code
        self.at = at
        self.field = field
        self.zh, self.en = FAULTS[code]
        super().__init__(f"{self.en} ({field or 'octet'} at {at})")
