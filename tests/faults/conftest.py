"""Faults that tests bring about (a full disk, a user without rights), and the tiny company that they happen to."""

import gc
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.faults.command import Company, founded

NOBODY = 65534


@pytest.fixture
def disk_of() -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many KB in memory and returns its folder; skips where this user may not mount one."""
    folders = []

    def mounted(kilobytes: int) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="leadline-disk-"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            folder.rmdir()
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        folders.append(folder)
        return folder

    yield mounted
    gc.collect()  # a file whose writing failed is closed with its last reference
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def small_disk(disk_of) -> Path:
    """The folder of a disk of 400 KB in memory."""
    return disk_of(400)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own are closed to all but their owner)."""
    with tempfile.TemporaryDirectory(prefix="leadline-open-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def without_rights() -> Callable[[], AbstractContextManager[None]]:
    """A context in which this process has the rights of nobody; of its own user where that is not root."""

    @contextmanager
    def dropped() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return dropped


@pytest.fixture(scope="session")
def published_company(tmp_path_factory) -> Company:
    """The tiny company after its first run; copy it (`company`) before anything is done to it."""
    published = founded(tmp_path_factory.mktemp("company") / "published")
    said = published.run()
    assert said.exit_code == 0, said.err
    return published


@pytest.fixture
def company(published_company: Company, tmp_path: Path) -> Company:
    """A copy of the tiny company after its first run, for one test to do harm to."""
    return published_company.copied(tmp_path / "company")
