"""What a file holds, by its first bytes, where its name says something else.

What belongs here: the signs of forms, and what is said of a file that holds another form than its name tells. What
does not: reading any of them.
"""

import re
from dataclasses import dataclass
from zipfile import BadZipFile, ZipFile

from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.opening import opened

_HEAD_BYTES = 4096
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_MARKUP = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|meta|table|style|div)\b", re.IGNORECASE)
_SPREADSHEET_XML = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<\?xml\b.*?(?:<Workbook|mso-application)", re.DOTALL)


@dataclass(frozen=True)
class Content:
    """A form as its bytes show it: ``key``, what it is in words, and what to do where it cannot be read as named."""

    key: str
    what: str
    remedy: str


TEXT = Content("text", "text", "give it a name that ends in .csv, or save it as an .xlsx workbook")
WORKBOOK = Content("workbook", "an Excel workbook", "give it a name that ends in .xlsx, or save it as CSV")
ARCHIVE = Content("archive", "a zip archive", "give it a name that ends in .zip, or unpack it")
GZIPPED = Content("gzip", "a gzip file", "give it a name that ends in .gz, or unpack it")
PARQUET = Content("parquet", "a Parquet file", "give it a name that ends in .parquet")
PROTECTED = Content("protected", "protected by a password", "remove the password (in Excel: File, Info, Protect Workbook) and save it again as .xlsx")
OLD_WORKBOOK = Content("xls", "an old Excel workbook (.xls)", "save it as .xlsx or as CSV")
WEB_PAGE = Content("html", "a web page (HTML), which some CRMs call .xls", "open it in a spreadsheet program and save it as .xlsx, or export it as CSV")
SPREADSHEET_XML = Content("xml", "an XML spreadsheet of Excel 2003", "open it in a spreadsheet program and save it as .xlsx, or export it as CSV")
DAMAGED = Content("damaged", "a cut off or damaged zip archive or workbook", "copy or export it again")
PDF = Content("pdf", "a PDF document", "export the table itself, as CSV or .xlsx")

NEVER_READ = (PROTECTED, OLD_WORKBOOK, WEB_PAGE, SPREADSHEET_XML, PDF)
"""Contents that no reader takes, whatever the file is called."""


def content_of(file: ExportFile) -> Content:
    """What ``file`` holds by its first bytes; `TEXT` where they show no other form. UnreadableFile where it cannot be opened."""
    with opened(file) as stream:
        head = stream.read(_HEAD_BYTES)
        if head.startswith(_OLE):
            return PROTECTED if _ENCRYPTED_PACKAGE in head + stream.read() else OLD_WORKBOOK
    if head.startswith(_ZIP):
        return _kind_of_archive(file)
    signs = ((head.startswith(b"PAR1"), PARQUET), (head.startswith(b"\x1f\x8b"), GZIPPED), (head.startswith(b"%PDF-"), PDF))
    signs += ((bool(_MARKUP.match(head)), WEB_PAGE), (bool(_SPREADSHEET_XML.match(head)), SPREADSHEET_XML))
    return next((content for is_it, content in signs if is_it), TEXT)


def check_content(file: ExportFile, named: Content) -> None:
    """Raise UnreadableFile where ``file`` does not hold ``named``, the form that its name tells."""
    found = content_of(file)
    if found != named:
        whole = (
            "is not a whole Parquet file; copy or export it again"
            if named == PARQUET and found == TEXT
            else f"is {found.what}, not {named.what}; {found.remedy}"
        )
        raise UnreadableFile(f"{file.name}: {whole}")


def _kind_of_archive(file: ExportFile) -> Content:
    with opened(file) as stream:
        try:
            names = ZipFile(stream).namelist()
        except BadZipFile:
            return DAMAGED
    return WORKBOOK if "xl/workbook.xml" in names else ARCHIVE
