"""The home folder of one company's runs: where its files stand, one run at a time, files replaced whole.

What belongs here: paths, the lock, atomic replacement. What does not: what stands in the files.
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa

from pipelines.errors import HomeBusyError, HomeError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Home:
    """The home folder at ``path`` and the places in it; nothing is created before `prepare`."""

    path: Path

    @property
    def lake(self) -> Path:
        """Folder of the lake: every table as Parquet."""
        return self.path / "lake"

    @property
    def report_database(self) -> Path:
        """File of the report database where no URL is given."""
        return self.path / "reports.sqlite"

    @property
    def report_database_url(self) -> sa.URL:
        """URL of that file."""
        return sa.URL.create("sqlite", database=str(self.report_database.absolute()))

    @property
    def page(self) -> Path:
        """The report page of the newest as-of date."""
        return self.path / "report.html"

    def page_of(self, as_of: date, published: Iterable[date]) -> Path:
        """Where the page of a date stands: `page`, or beside it under its date where a later one is ``published``."""
        return self.page.with_name(f"report-{as_of}.html") if any(day > as_of for day in published) else self.page

    @property
    def spill(self) -> Path:
        """Folder into which queries spill when memory is short."""
        return self.path / "spill"

    @property
    def lock_file(self) -> Path:
        """File that a run locks; it names its last holder and stays when the run has ended."""
        return self.path / "run.lock"

    @property
    def mask_key_file(self) -> Path:
        """File of the key of masked ids; it is drawn once and stays, so that masks are equal from run to run."""
        return self.path / "mask.key"

    def mask_key(self) -> bytes:
        """The key of masked ids (`quality.masking.masked_id`), drawn where there is none yet; raises `HomeError` like `staged_file`."""
        if not self.mask_key_file.is_file():
            with staged_file(self.mask_key_file) as staged:
                staged.touch(mode=0o600)
                staged.write_text(secrets.token_hex(32), encoding="ascii")
        return bytes.fromhex(self.mask_key_file.read_text(encoding="ascii"))

    def prepare(self) -> None:
        """Create the folders that are missing; raises `HomeError` where that cannot be done."""
        for folder in (self.path, self.lake, self.spill):
            made_folder(folder)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home folder for this run; raises `HomeBusyError` at once where another run holds it.

        The operating system drops the lock with the process that holds it, so none is ever left over, not even by a
        process that was killed.
        """
        self.prepare()
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _unwritable(self.lock_file, error) from error
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _busy(self.path, self.lock_file) from None
            self._remove_leftovers()
            with room_for(self.lock_file):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, json.dumps({"pid": os.getpid()}).encode())
            yield

    def _remove_leftovers(self) -> None:
        """Remove what a run that was killed had not finished; called by the one run that holds the home folder."""
        for unfinished in (
            *self.path.glob(".report*.html.*"),
            *self.path.glob(f".{self.mask_key_file.name}.*"),
            *self.lake.glob("*/*/.*.parquet.*"),
            *self.spill.glob("duckdb_temp_*"),
        ):
            unfinished.unlink(missing_ok=True)


def made_folder(folder: Path) -> Path:
    """``folder``, created with its parents where it is missing; raises `HomeError` where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Write ``path`` inside; raises `HomeError` where the disk is full or the file may not be written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL or isinstance(error, PermissionError):
            raise _unwritable(path, error) from error
        raise


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to, which takes its place when the block ends without an error.

    A reader sees the former file until then, and never half of one; after an error the former file stays and the
    temporary one is gone. Raises `HomeError` where the disk is full or the file may not be written.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield staged
        with open(staged, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(staged, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in _FULL or error.filename == str(staged):
            raise _unwritable(path, error) from error
        raise
    finally:
        staged.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``path``, whole or not at all; raises `HomeError` like `staged_file`."""
    with staged_file(path) as staged:
        staged.write_bytes(content)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _busy(home: Path, lock_file: Path) -> HomeBusyError:
    """Names the holder from what it wrote into the lock file, and its start from when it did."""
    try:
        process = f"process {json.loads(lock_file.read_text(encoding='utf-8'))['pid']}"
    except ValueError:  # the holder has taken the lock this instant and not written its name yet
        process = "another process"
    started = datetime.fromtimestamp(lock_file.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return HomeBusyError(
        f"another run is under way: {process}, started {started}",
        where=str(home),
        expected="one run at a time in a home folder",
        remedy="wait until it ends, or stop that process if it hangs; its lock goes with it. A second company takes a second home folder",
    )


def _unwritable(path: Path, error: OSError) -> HomeError:
    if error.errno in _FULL:
        folder = path.parent
        found = f"the disk is full: {shutil.disk_usage(folder).free / 1_000_000:.1f} MB are free"
        return HomeError(
            found,
            where=str(path),
            expected="room for the file",
            remedy="free space or move the home folder to a larger disk, then run again",
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return HomeError(
            "a file stands where a folder should be, or the other way round",
            where=str(path),
            expected="a folder for the home folder and its parts, a file for reports",
            remedy="move it away or choose another home folder",
        )
    return HomeError(
        f"it cannot be written ({error.strerror})",
        where=str(path),
        expected="the right to write there",
        remedy="give the user that runs Leadline that right, or choose another home folder",
    )
