"""How text that may name a person is masked before anybody sees it: e-mails, phones, names.

What belongs here: the form of a mask and what is taken for an e-mail, a phone, a name. What does not: which values
are shown (assets, pipelines).

In free text whatever could be a phone is masked, because a quotation only has to be recognised at its place. An id
is a key: it is masked only where it surely is an e-mail or a phone, and equal ids get equal masks. A value of a column of
numbers is masked only where it surely is one, because its digits are what somebody has to mend.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from functools import partial

STARS = "****"

QUOTED_CHARACTERS = 40
"""Characters of an exported value that are quoted."""

_DATE = r"(?<!\d)(?:(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d{2})(?!\d)"
_DIGITS = r"\+?\d(?:[ \u3000\u00a0().\-/–]{0,2}\d){6,}"
_EMAIL = re.compile(r"(\S)\S*[@＠](\S*)")
_DATE_OR_DIGITS = re.compile(rf"(?P<date>{_DATE})|{_DIGITS}")

_SURE_PHONE = re.compile(
    r"(?<![\w+])(?:(?:\+|00)\d{1,3}[ \-]?(?:\(0\))?(?:[ \-()]{0,2}\d){7,12}|1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}|0\d{2,3}[ \-]\d{7,8}|\(\d{3}\) ?\d{3}-\d{4})(?!\w)"
)

_ORGANISATION = re.compile(
    r"[\d&/]|\b(?:inc|corp|co|company|ltd|llc|llp|plc|gmbh|ag|kg|sa|sas|srl|bv|nv|ab|oy|as|pty|pte|group|holdings?|bank|university|school|college|hospital|clinic|"
    r"institute|foundation|association|partners|labs?|systems?|solutions|services|software|technolog(?:y|ies)|industr(?:y|ies)|machinery|medical|retail|"
    r"education|energy|foods?|media|logistics|trading|international|global|insurance|capital|ministry|city|council|agency|works|studio|store|shop|hotel)\b",
    re.IGNORECASE,
)
_HAN = r"\u3400-\u9fff"
_HAN_NAME = re.compile(rf"[{_HAN}]{{2,3}}|[{_HAN}]+·[{_HAN}]+|[{_HAN}]{{2,3}}(?:先生|女士|小姐|老师)")
_MASK = re.compile(r".\*{1,3}~[0-9a-f]{6}")
_LATIN_NAME = re.compile(r"[^\W\d_][\w'’.\-]*(?:[ ,]+[^\W\d_][\w'’.\-]*){1,3}")


def masked_text(text: str) -> str:
    """``text`` with every e-mail (``z***@example.com``) and everything that could be a phone (``138****5678``) masked.

    A phone is seven digits or more in a row, blanks, dots, dashes and brackets between them allowed, unless they are a
    date. Masking twice gives the same.
    """
    return _DATE_OR_DIGITS.sub(_masked_digits, _EMAIL.sub(r"\1***@\2", text))


def may_name_a_person(text: str) -> bool:
    """True where a text that is to be shown whole holds what could be an e-mail or a phone.

    A run of digits alone is an id, unless it looks like a phone; with blanks, dots, dashes or brackets among the digits, or
    a zero or plus before them, it may be one.
    """
    if "@" in text or "＠" in text or _SURE_PHONE.search(text):
        return True
    runs = (found[0] for found in _DATE_OR_DIGITS.finditer(text) if not found["date"])
    return any(not run.isdecimal() or run.startswith("0") for run in runs)


def quoted(text: str) -> str:
    """An exported value as it may be quoted: masked, then cut, so that no half of a phone is left at the end."""
    return masked_text(text)[:QUOTED_CHARACTERS]


def quoted_number(text: str) -> str:
    """A value of a column of numbers as it may be quoted: seven digits or more are an amount there, unless they are surely a phone."""
    return _sure_phones_masked(_EMAIL.sub(r"\1***@\2", text))[:QUOTED_CHARACTERS]


def masked_name(name: str) -> str:
    """A person's name with its first letter alone: ``张*``, ``A***``."""
    first = name.strip()[:1]
    return f"{first}*" if re.match(f"[{_HAN}]", first) else f"{first}***"


def masked_account(name: str) -> str:
    """A customer's name, masked where it could be a person's: two or three Chinese characters, or words that hold no
    sign of an organisation (Ltd, Bank, 公司 makes it longer); e-mails and phones in it are masked in any case."""
    text = name.strip()
    is_person = _HAN_NAME.fullmatch(text) or (_LATIN_NAME.fullmatch(text) and not _ORGANISATION.search(text))
    return masked_name(text) if is_person else masked_text(text)


def masked_id(value: str, key: bytes) -> str:
    """An id or segment member with its e-mails and sure phones masked; any other value as it is.

    Behind a mask stand six characters of a hash keyed by ``key``: equal values get equal masks in every table and on
    every date, so that joins hold, different ones different masks, and nobody without the key can try values out.
    """
    shown = _EMAIL.sub(r"\1***@\2", value) if "@" in value or "＠" in value else value
    shown = _sure_phones_masked(shown)
    return value if shown == value else f"{shown}~{_tag(value, key)}"


def masked_person(value: str, key: bytes) -> str:
    """The id of a person whose name is to be masked: an id that holds a digit as `masked_id`, a name like `masked_name`.

    What is a mask already stays.
    """
    if _MASK.fullmatch(value):
        return value
    if any(letter.isdigit() for letter in value) or "@" in value:
        return masked_id(value, key)
    return f"{masked_name(value)}~{_tag(value, key)}"


def id_masks(values: Iterable[str], key: bytes, *, people: bool = False) -> dict[str, str]:
    """The masks of those of ``values`` that need one, by value; ``people``: every name is masked, too."""
    mask: Callable[[str], str] = partial(masked_person if people else masked_id, key=key)
    return {value: shown for value in values if (shown := mask(value)) != value}


def _sure_phones_masked(text: str) -> str:
    return _SURE_PHONE.sub(_masked_digits, text)


def _masked_digits(found: re.Match) -> str:
    """The first and last digits of a phone; a date, where it is one, as it stands."""
    if found.groupdict().get("date"):
        return found[0]
    digits = "".join(letter for letter in found[0] if letter.isdigit())
    head, tail = (3, 4) if len(digits) >= 11 else (2, 2)
    return ("+" if found[0].startswith("+") else "") + digits[:head] + STARS + digits[-tail:]


def _tag(value: str, key: bytes) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:6]
