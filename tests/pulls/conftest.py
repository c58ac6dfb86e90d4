"""A company with each of the made-up CRMs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pulls.crm import SECRETS, Company, FakeCrm
from tests.pulls.dynamics import FakeDynamics
from tests.pulls.hubspot import FakeHubSpot
from tests.pulls.pipedrive import FakePipedrive
from tests.pulls.salesforce import FakeSalesforce


@pytest.fixture(params=[FakeSalesforce, FakeHubSpot, FakePipedrive, FakeDynamics], ids=lambda fake: fake.name)
def crm(request) -> Iterator[FakeCrm]:
    """A CRM with seven deals, each changed at a time of its own."""
    fake = request.param()
    for number in range(1, 8):
        fake.server.later(minutes=1)
        fake.put(str(number), amount=f"{number}000.25")
    fake.server.later(hours=1)
    yield fake
    fake.server.close()


@pytest.fixture
def company(crm: FakeCrm, tmp_path: Path, monkeypatch) -> Company:
    """The company that uses it, before its first pull."""
    for name in crm.credentials:
        monkeypatch.setenv(f"TEST_{name.upper()}", SECRETS[name])
    made = Company(tmp_path, crm)
    made.configure()
    return made
