"""What stands in a zip archive.

What belongs here: names and sizes of the entries, and what is wrong with an archive. What does not: which entries
are whose (files.py) and what is in them (readers).
"""

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from upath import UPath

from assets.exports.errors import UnreadableFile

ARCHIVE = ".zip"

_ENCRYPTED = 0x1
_OF_THE_SYSTEM = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
"""Entries that operating systems add by themselves."""


def open_archive(stream) -> ZipFile:
    """The archive in a binary stream; names without a mark for UTF-8 are read as GB18030, which Chinese Windows writes.

    Names in plain ASCII are the same in both.
    """
    try:
        return ZipFile(stream, metadata_encoding="gb18030")
    except UnicodeDecodeError:
        stream.seek(0)
        return ZipFile(stream)


def entries_of(path: Path | UPath, name: str) -> dict[str, int]:
    """Sizes in bytes of an archive's files by name, without folders and the systems' own entries, in order of name.

    Raises UnreadableFile where the archive is broken, empty or needs a password; ``name`` is how a message calls it.
    """
    try:
        with path.open("rb") as stream, open_archive(stream) as archive:
            files = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith(_OF_THE_SYSTEM[0])]
    except BadZipFile as error:
        raise UnreadableFile(f"{name!r} is not a whole zip archive; copy or export it again") from error
    except PermissionError as error:
        raise UnreadableFile(f"{name!r} may not be read by this user; allow it to read the file") from error
    files = [info for info in files if info.filename.rsplit("/", 1)[-1] not in _OF_THE_SYSTEM]
    if any(info.flag_bits & _ENCRYPTED for info in files):
        raise UnreadableFile(f"{name!r} needs a password; unpack it, and put the files or an archive without a password there")
    if not files:
        raise UnreadableFile(f"{name!r} is a zip archive without files; export it again")
    return {info.filename: info.file_size for info in sorted(files, key=lambda info: info.filename)}
