"""Opens a file as a stream of its plain bytes, wherever it stands: local or remote, in a zip archive, gzipped.

What belongs here: unpacking, and what is said where a file cannot be opened or its packing is broken. What does
not: what the bytes mean.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO
from zipfile import BadZipFile

from assets.exports.archives import open_archive
from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile

GZIP = ".gz"


@contextmanager
def opened(file: ExportFile) -> Iterator[BinaryIO]:
    """The plain bytes of ``file`` from their beginning; UnreadableFile where it may not be read or is not whole."""
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(file.path.open("rb"))
            if file.entry is not None:
                stream = stack.enter_context(stack.enter_context(open_archive(stream)).open(file.entry))
            if file.name.lower().endswith(GZIP):
                stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableFile(f"{file.name}: is not a whole gzip file ({error}); copy or export it again") from error
    # zipfile says NotImplementedError of an archive packed or encrypted in a way that it does not know.
    except (BadZipFile, NotImplementedError) as error:
        raise UnreadableFile(f"{file.name}: cannot be unpacked ({error}); pack or export it again") from error
    except PermissionError as error:
        raise UnreadableFile(f"{file.name}: this user may not read it; allow it to read the file") from error
    except OSError as error:
        raise UnreadableFile(
            f"{file.name}: the reading of it broke off ({error.strerror or type(error).__name__}); try again, or copy it to a local folder"
        ) from error


def is_plain(file: ExportFile) -> bool:
    """True where the file itself, on a local disk, holds the bytes that `opened` gives."""
    return file.entry is None and not file.name.lower().endswith(GZIP) and not hasattr(file.path, "fs")


def plain_name(file: ExportFile) -> str:
    """The file's relative name in lower case without a suffix that only says how it is packed."""
    return file.name.lower().removesuffix(GZIP)


def packing(file: ExportFile) -> tuple[str, ...]:
    """How the file is packed, in words: nothing, ``gzip``, ``zip`` or both."""
    return (*(["zip"] if file.entry is not None else []), *(["gzip"] if file.name.lower().endswith(GZIP) else []))
