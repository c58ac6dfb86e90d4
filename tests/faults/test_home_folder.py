"""What happens to the home folder's files when the disk is full or the user lacks rights."""

import os

import pytest

from pipelines.errors import HomeError
from pipelines.home import Home, replace_file


def test_the_page_stays_when_the_disk_is_full(small_disk):
    page = Home(small_disk).page
    replace_file(page, b"former")
    with pytest.raises(HomeError, match=r"the disk is full: 0\.0 MB are free") as caught:
        replace_file(page, b"x" * 1_000_000)
    assert "free space" in str(caught.value)
    assert page.read_bytes() == b"former"
    assert [p.name for p in small_disk.iterdir()] == ["report.html"]


def test_a_folder_that_may_not_be_written(open_folder, without_rights):
    if os.geteuid() != 0:
        open_folder.chmod(0o555)
    with without_rights(), pytest.raises(HomeError, match="cannot be written") as caught:
        Home(open_folder / "home").prepare()
    assert "give the user that runs Leadline that right" in str(caught.value)
    open_folder.chmod(0o755)
