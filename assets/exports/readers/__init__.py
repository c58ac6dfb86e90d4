"""Readers of file forms. A reader turns a file into text (readers/text.py); this page says which suffix is whose.

What belongs here: the choice by suffix. What does not: reading. A new form is one function and one entry of `READERS`.
"""

from collections.abc import Callable
from types import MappingProxyType

from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.delimited import read_delimited
from assets.exports.readers.parquet import read_parquet
from assets.exports.readers.text import TextFile
from assets.exports.readers.workbook import read_workbook
from assets.exports.settings import FileForm

Reader = Callable[[ExportFile, FileForm], TextFile]

READERS = MappingProxyType(
    {
        ".csv": read_delimited,
        ".tsv": read_delimited,
        ".txt": read_delimited,
        ".csv.gz": read_delimited,
        ".tsv.gz": read_delimited,
        ".txt.gz": read_delimited,
        ".xlsx": read_workbook,
        ".xlsm": read_workbook,
        ".parquet": read_parquet,
    }
)
"""The reader of every known suffix, in lower case."""


def open_text(file: ExportFile, form: FileForm) -> TextFile:
    """The file as text, by the reader of its suffix; UnreadableFile where there is none or the file is broken."""
    name = file.path.name.lower()
    for suffix, reader in READERS.items():
        if name.endswith(suffix):
            return reader(file, form)
    raise UnreadableFile(f"{file.name}: files of this form are not read; expected a name that ends in {', '.join(READERS)}")
