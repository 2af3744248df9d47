"""conftest.py - the fixtures of the end-to-end tests

SPDX-License-Identifier: MIT
"""
import os
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import house  # noqa: E402
from house import volumes  # noqa: E402

# Programs that are started here are not to ignore it, whatever a shell that ran
# this beside something else has done.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config):
    return f"program under test: {house.REINSERT}"


@pytest.fixture(scope="session")
def masters(tmp_path_factory):
    """Media that tests copy; made once with the ordinary tools."""
    folder = tmp_path_factory.mktemp("masters")
    return {
        "a": volumes.make_ext4(str(folder / "a.img"), "ARCHIVE-A"),
        "a2": volumes.make_ext4(str(folder / "a2.img"), "ARCHIVE-A"),
        "b": volumes.make_fat(str(folder / "b.img"), "ARCHIVE-B"),
        "c": volumes.make_ext4(str(folder / "c.img"), "ARCHIVE-C"),
        "cd": volumes.make_iso(str(folder / "cd.iso"), "DISC"),
        "blank": volumes.make_blank(str(folder / "blank.img")),
    }


class Media:
    """Copies of the masters in the folder of one test, by attribute."""

    def __init__(self, masters, folder):
        self._masters = masters
        self._folder = folder

    def __getattr__(self, name):
        source = self._masters[name]
        path = os.path.join(str(self._folder), os.path.basename(source))
        subprocess.run(["cp", "--sparse=always", source, path], check=True)
        setattr(self, name, path)
        return path


@pytest.fixture
def media(masters, tmp_path):
    return Media(masters, tmp_path)


@pytest.fixture
def serve(tmp_path):
    """Starts services; afterwards each is ended and looked over."""
    services = []

    def start(drives, **keys):
        # A socket's path may have 107 bytes.
        folder = tmp_path / f"s{len(services)}"
        service = house.Service(folder, drives, **keys)
        services.append(service)
        return service

    yield start
    problems = []
    for service in services:
        try:
            service.end()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def clients(serve):
    """Things that are closed before the service is ended."""
    made = []
    yield made
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def clean(tmp_path):
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)
