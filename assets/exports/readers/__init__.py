"""Readers of file forms. A reader turns a file into text (readers/text.py); this page says which suffix is whose.

What belongs here: the choice by suffix. What does not: reading. A new form is one function and one entry of `READERS`.
"""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.contents import NEVER_READ, PARQUET, TEXT, WORKBOOK, Content, check_content, content_of
from assets.exports.readers.delimited import read_delimited
from assets.exports.readers.jsonlines import read_json_lines
from assets.exports.readers.opening import packing, plain_name
from assets.exports.readers.parquet import read_parquet
from assets.exports.readers.text import TextFile
from assets.exports.readers.workbook import read_workbook
from assets.exports.settings import FileForm

Reader = Callable[[ExportFile, FileForm], TextFile]

READERS: MappingProxyType[str, tuple[Reader, Content]] = MappingProxyType(
    {
        ".csv": (read_delimited, TEXT),
        ".tsv": (read_delimited, TEXT),
        ".txt": (read_delimited, TEXT),
        ".xlsx": (read_workbook, WORKBOOK),
        ".xlsm": (read_workbook, WORKBOOK),
        ".parquet": (read_parquet, PARQUET),
        ".jsonl": (read_json_lines, TEXT),
        ".ndjson": (read_json_lines, TEXT),
        ".json": (read_json_lines, TEXT),
    }
)
"""The reader of every known suffix, in lower case, and what such a file must hold; each may have .gz behind it."""


def open_text(file: ExportFile, form: FileForm) -> TextFile:
    """The file as text, by the reader of its suffix; UnreadableFile where there is none or the file is broken."""
    suffix = next((suffix for suffix in READERS if plain_name(file).endswith(suffix)), None)
    if suffix is None:
        found = content_of(file)
        is_known = found in NEVER_READ or found == WORKBOOK
        what = f"is {found.what}; {found.remedy}" if is_known else f"files of this form are not read; expected a name that ends in {', '.join(READERS)}"
        raise UnreadableFile(f"{file.name}: {what}")
    reader, content = READERS[suffix]
    check_content(file, content)
    text = reader(file, form)
    return replace(text, form=", ".join([*packing(file), text.form]))
