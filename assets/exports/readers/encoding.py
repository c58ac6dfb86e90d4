"""In which encoding a text file is written: found by its bytes, or checked against what the configuration says.

What belongs here: bytes and the characters they stand for. What does not: records and values (delimited.py).

A byte-order mark decides; then UTF-8 does, because no other text happens to be valid UTF-8. What is neither is
GB18030 or Windows-1252 (Latin-1 and a few signs) only where the text fits one of them and not the other
(`readings`); everything else is a question to the person, never a guess.
"""

import codecs
import re
from dataclasses import dataclass

from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.opening import opened

UTF8 = ("utf-8", "utf-8-sig")

_CHUNK_BYTES = 4 << 20
_EVIDENCE_CHARACTERS = 50_000
_MULTIBYTE = ("gb", "big5", "shift", "euc", "cp93", "cp94", "cp95")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SHOWN = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with byte-order mark", "gb18030": "GB18030", "cp1252": "Windows-1252"}

_FITS_SHARE = 0.9
"""Share of the characters (GB18030) or runs (Windows-1252) beyond ASCII that must look like text in that encoding."""

_FREQUENT_SHARE = 0.7
"""Share of the characters of a Chinese text that are signs or among the 3,755 frequent ones."""

_KANA = (0xA4, 0xA5)
_HANGUL_ENDS = 0xC8
_FREQUENT_ENDS = 0xD7
_FIRST_HANZI = 0xB0

_RUN = re.compile(r"([\x00-\x7f]?)([^\x00-\x7f]+)(?=([\x00-\x7f]?))")
_LETTERS = "A-Za-zÀ-ÖØ-öø-ÿŠšŽžŒœŸ"
_WESTERN_RUN = re.compile(rf"[{_LETTERS}]{{1,2}}|[^{_LETTERS}]{{1,3}}|[^{_LETTERS}]{{1,2}}[{_LETTERS}]{{1,2}}|[{_LETTERS}]{{1,2}}[^{_LETTERS}]{{1,2}}")
_WORD = re.compile(f"[{_LETTERS}]+")
_MONEY = re.compile("[€£¥]")
_AROUND_VALUES = " \t\r\n\"',;|"
"""What stands between values: a letter beside it begins or ends a word."""

_INSIDE_WORDS = "’‘·´­"
_TWICE_ENCODED = re.compile("[ÂÃ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


@dataclass(frozen=True)
class Encoding:
    """How a text file is encoded: the codec's name in Python, whether it was found or configured, its last character.

    ``last`` is the last character that is no line break, empty where there is none.
    """

    codec: str
    last: str

    @property
    def shown(self) -> str:
        """The name as a person knows it."""
        return _SHOWN.get(self.codec, self.codec.upper())


class _Misfit(Exception):
    """A byte does not belong to the encoding: its offset in the file, the bytes around it with its place there.

    ``after_others`` is true where characters beyond ASCII stood before those bytes and fitted.
    """

    def __init__(self, offset: int, around: bytes, at: int, after_others: bool):
        super().__init__(offset)
        self.offset, self.around, self.at, self.after_others = offset, around, at, after_others

    @property
    def sample(self) -> bytes:
        """The bytes around the misfit, to the end of their last line."""
        return self.around[: max(self.around.rfind(b"\n"), self.around.rfind(b"\r")) + 1 or len(self.around)]


def encoding_of(file: ExportFile, configured: str | None) -> Encoding:
    """The encoding of ``file``; every byte of it has been found to belong to it.

    Raises UnreadableFile, with line and byte, where it does not have the configured encoding, where encodings are
    mixed, or where it cannot be told which of two it has.
    """
    codec = _known(file, configured) if configured else _marked(file)
    if codec is not None:
        try:
            return Encoding(codec, _decoded(file, codec, is_declared=configured is not None))
        except _Misfit as misfit:
            raise UnreadableFile(_wrong(file, codec, misfit)) from misfit
    try:
        return Encoding("utf-8", _decoded(file, "utf-8"))
    except _Misfit as misfit:
        codec = _other_than_utf8(file, misfit)
    try:
        return Encoding(codec, _decoded(file, codec))
    except _Misfit as misfit:
        raise UnreadableFile(
            f"{_place(file, misfit)} is not {_SHOWN[codec]} text, although what is before it looks like it: the file mixes encodings; export it again as UTF-8"
        ) from misfit


def readings(sample: bytes) -> tuple[str, ...]:
    """Which encodings text that is not UTF-8 may have, so far as its bytes tell: some of gb18030, euc_kr, euc_jp, cp1252.

    Chinese text in GB18030 is made of pairs of high bytes that nearly all are characters of GB 2312, most of them
    among its 3,755 frequent ones (lead byte B0 to D7). Where no lead byte is beyond C8 it may be Korean as well,
    where there are kana Japanese. Western text in Windows-1252 has single accented letters, or two, between plain
    ones, and signs beside words, not in them; some letter stands in a word, or some sign is one of money.
    """
    found = []
    if _is_chinese(sample):
        found.append("gb18030")
        leads = {lead for lead in re.findall(rb"([\xa1-\xfe])[\xa1-\xfe]", sample)}
        hanzi = [lead[0] for lead in leads if lead[0] >= _FIRST_HANZI]
        rivals = [("euc_kr", hanzi and max(hanzi) <= _HANGUL_ENDS), ("euc_jp", any(lead[0] in _KANA for lead in leads))]
        found += [codec for codec, is_possible in rivals if is_possible and _decodes(sample, codec)]
    if _is_western(sample):
        found.append("cp1252")
    return tuple(found)


def _is_chinese(sample: bytes) -> bool:
    if not _decodes(sample, "gb18030"):
        return False
    beyond = re.sub(r"[\x00-\x7f]+", "", sample.decode("gb18030"))[:_EVIDENCE_CHARACTERS]
    pairs = [pair for character in beyond if len(pair := character.encode("gb18030")) == 2]
    simplified = [pair for pair in pairs if 0xA1 <= pair[0] <= 0xF7 and pair[1] >= 0xA1]
    frequent = [pair for pair in simplified if pair[0] < _FIRST_HANZI or pair[0] <= _FREQUENT_ENDS]
    return bool(pairs) and len(simplified) >= _FITS_SHARE * len(pairs) and len(frequent) >= _FREQUENT_SHARE * len(pairs)


def _is_western(sample: bytes) -> bool:
    if not _decodes(sample, "cp1252"):
        return False
    text = sample.decode("cp1252")
    if _TWICE_ENCODED.search(text):
        return False
    runs = [run.groups() for run in _RUN.finditer(text[: 40 * _EVIDENCE_CHARACTERS])]
    is_evidence = any((_WORD.fullmatch(run) and (before + after).strip(_AROUND_VALUES).isalpha()) or _MONEY.search(run) for before, run, after in runs)
    return is_evidence and sum(_is_western_run(*run) for run in runs) >= _FITS_SHARE * len(runs)


def _is_western_run(before: str, run: str, after: str) -> bool:
    if not _WESTERN_RUN.fullmatch(run):
        return False
    shouted = before.islower() and run[0].isupper()
    inside = before.isalpha() and after.isalpha() and not run.isalpha() and run not in _INSIDE_WORDS
    return not shouted and not inside


def _decodes(sample: bytes, codec: str) -> bool:
    try:
        sample.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _known(file: ExportFile, name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise UnreadableFile(f"{file.name}: the encoding {name!r} is not known; expected utf-8, gb18030, utf-16 or another name that Python knows") from error


def _marked(file: ExportFile) -> str | None:
    """The encoding whose byte-order mark the file begins with."""
    with opened(file) as stream:
        head = stream.read(4)
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), None)


def _decoded(file: ExportFile, codec: str, *, is_declared: bool = False) -> str:
    """Decode the whole file once and return its last character that is no line break; _Misfit where a byte is not the codec's."""
    decoder = codecs.getincrementaldecoder(codec)()
    # A file that is declared to be something else but is UTF-8 would be read as garbled text without any error.
    rival = _Utf8Rival(codec) if is_declared and codec not in UTF8 else None
    is_ascii_based = codec in UTF8 or not codec.startswith("utf")
    position, last, pending, former, has_others = 0, "", 0, b"\n", False
    with opened(file) as stream:
        while True:
            chunk = stream.read(_CHUNK_BYTES)
            if is_ascii_based and not pending and chunk.isascii():
                text = ""
                last = chunk[-64:].rstrip(b"\r\n")[-1:].decode("ascii") or last
                if b"\0" in chunk:
                    raise UnreadableFile(_with_nul(file, codec, chunk, position))
            else:
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    raise _Misfit(position - pending + error.start, error.object, error.start, has_others) from error
                if "\0" in text:
                    raise UnreadableFile(_with_nul(file, codec, chunk, position))
                has_others = True
                pending = len(decoder.getstate()[0])
                last = text[-64:].rstrip("\r\n")[-1:] or last
                _check_no_mark_inside(file, text, position, former)
            if rival:
                rival.see(chunk)
            position += len(chunk)
            if not chunk:
                break
            former = chunk[-1:]
    if rival and rival.is_utf8:
        raise UnreadableFile(f"{file.name}: the configuration says {codec}, but the file is UTF-8; remove encoding: {codec} for it")
    return last


class _Utf8Rival:
    """Watches whether a file that is declared otherwise is UTF-8, beyond what chance allows."""

    def __init__(self, codec: str):
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        # Two characters of a Chinese encoding can by chance be valid UTF-8 of two bytes each, three bytes hardly ever.
        self._telling = "\u0800" if codec.startswith(_MULTIBYTE) else "\x80"
        self._is_valid, self._is_told = True, False

    def see(self, chunk: bytes) -> None:
        """Take the next bytes of the file into account."""
        if self._is_valid:
            try:
                self._is_told |= max(self._decoder.decode(chunk, final=not chunk), default="") >= self._telling
            except UnicodeDecodeError:
                self._is_valid = False

    @property
    def is_utf8(self) -> bool:
        """True where all that was seen is UTF-8 and not by chance."""
        return self._is_valid and self._is_told


def _check_no_mark_inside(file: ExportFile, text: str, position: int, former: bytes) -> None:
    """A byte-order mark at the beginning of a line that is not the first: files were joined."""
    found = re.search("[\r\n]\ufeff", text)
    if found or (position and text.startswith("\ufeff") and former in b"\r\n"):
        line = _line_of(file, position) + len(re.findall("\r\n|\r|\n", text[: found.end() if found else 0]))
        raise UnreadableFile(
            f"{file.name}: line {line} begins with a byte-order mark, as where files were joined into one; export each on its own: several files can be one table"
        )


def _with_nul(file: ExportFile, codec: str, chunk: bytes, position: int) -> str:
    at = chunk.index(b"\0")
    line = _line_of(file, position + at)
    head = chunk[:1024]
    for wide, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if position == 0 and zeros.count(0) > len(zeros) / 2:
            return (
                f"{file.name}: holds NUL characters as {wide.upper()} without a byte-order mark does; set encoding: {wide} for this table, or export as UTF-8"
            )
    return f"{file.name}: line {line} holds NUL characters, so it is not {_SHOWN.get(codec, codec)} text, or the file is damaged; export it again"


def _line_of(file: ExportFile, offset: int) -> int:
    """The line that the byte at ``offset`` stands in, counted from 1."""
    lines, left = 1, offset
    with opened(file) as stream:
        while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
            lines += max(chunk.count(b"\n"), chunk.count(b"\r"))
            left -= len(chunk)
    return lines


def _place(file: ExportFile, misfit: _Misfit) -> str:
    byte = misfit.around[misfit.at : misfit.at + 1].hex()
    return f"{file.name}: line {_line_of(file, misfit.offset)}, byte {misfit.offset + 1}: 0x{byte}"


def _wrong(file: ExportFile, codec: str, misfit: _Misfit) -> str:
    """What is said where a file is not in its configured or marked encoding."""
    likely = "; export it again as UTF-8, or set the encoding that it has"
    for other in {"utf-8", "gb18030"} - {codec.removesuffix("-sig")}:
        if _decodes(misfit.sample, other):
            likely = f"; it reads as {other}: set encoding: {other} for this table if that is what the CRM exports"
    return f"{_place(file, misfit)} is not {codec} text{likely}"


def _other_than_utf8(file: ExportFile, misfit: _Misfit) -> str:
    """The encoding of a file that is not UTF-8, by the text around the first byte that is not; UnreadableFile where that does not tell."""
    place = _place(file, misfit)
    before = misfit.around[: misfit.at].decode("utf-8", errors="ignore")
    if misfit.after_others or max(before, default="") >= "\u0800":
        raise UnreadableFile(f"{place} is not UTF-8 text, although the lines before it are: the file mixes encodings; export it again as UTF-8")
    found = readings(misfit.sample)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnreadableFile(f"{place} is not utf-8 text, and neither GB18030 nor Windows-1252; export it again as UTF-8, or set the encoding that it has")
    both = " or ".join(f"encoding: {codec}" for codec in found)
    raise UnreadableFile(
        f"{place} is not utf-8 text, and too little tells whether it is {' or '.join(_SHOWN.get(c, c.upper()) for c in found)}; "
        f"set {both} for this table, or export it again as UTF-8"
    )
