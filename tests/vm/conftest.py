"""conftest.py - one virtual machine for all tests of a run; services as in
tests/e2e

REINSERT_VM is the folder that keeps the kernel, and after a failure the
console, QEMU's words and the service's.

SPDX-License-Identifier: MIT
"""
import glob
import importlib.util
import os
import shutil
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
E2E = os.path.join(HERE, "..", "e2e")
sys.path[:0] = [HERE, E2E]
import kernel  # noqa: E402
import vm  # noqa: E402
import house  # noqa: E402
from house import volumes  # noqa: E402

house.HANG = vm.HANG

CACHE = os.environ.get("REINSERT_VM",
                       os.path.join(HERE, "..", "..", "build", "vm"))
LOGS = os.path.join(CACHE, "failed")


def e2e_fixtures():
    spec = importlib.util.spec_from_file_location(
        "e2e_conftest", os.path.join(E2E, "conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_e2e = e2e_fixtures()
serve, clean = _e2e.serve, _e2e.clean
pytest_report_header = _e2e.pytest_report_header


@pytest.fixture(scope="session")
def disk_of_the_guest(tmp_path_factory):
    """Media for the guest's own emulated drives, by name."""
    folder = tmp_path_factory.mktemp("guest")
    return {
        "disc-a": volumes.make_iso(str(folder / "a.iso"), "DISC-A", 1),
        "disc-b": volumes.make_iso(str(folder / "b.iso"), "DISC-B", 1),
        "disk-a": volumes.make_fat(str(folder / "a.img"), "DISK-A", 8),
        "disk-b": volumes.make_fat(str(folder / "b.img"), "DISK-B", 8),
        "stick-a": volumes.make_fat(str(folder / "c.img"), "STICK-A", 8),
        "stick-b": volumes.make_fat(str(folder / "d.img"), "STICK-B", 8),
    }


@pytest.fixture(scope="session")
def machine(disk_of_the_guest):
    """Booted once, with a CD drive, a removable disk and a USB stick."""
    media = disk_of_the_guest
    # A socket's path may have 107 bytes: not pytest's folder.
    folder = tempfile.mkdtemp(prefix="reinsert-vm-")
    one = vm.Machine(kernel.Kernel(CACHE), folder,
                     {"cd0": ("cd", media["disc-a"]),
                      "hd0": ("disk", media["disk-a"]),
                      "usb0": ("usb", media["stick-a"])})
    try:
        print(f"\nthe guest answers after {one.booted:.0f} s", flush=True)
        one.network()
        one.modprobe("nbd", "ext4", "vfat", "nls_cp437", "nls_ascii",
                     "nls_iso8859-1")
        yield one
    finally:
        one.end()
        shutil.rmtree(folder, ignore_errors=True)


def keep(name, machine, folder):
    """What there is to read about a failure, in LOGS/name."""
    where = os.path.join(LOGS, name)
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where)
    logs = glob.glob(os.path.join(str(folder), "s*", "stderr"))
    if machine is not None:
        logs += [os.path.join(machine.folder, n)
                 for n in ("console", "qemu.log")]
        logs += glob.glob(os.path.join(machine.share, "*.out"))
        logs += glob.glob(os.path.join(machine.share, "*.cmd"))
    for log in logs:
        if os.path.exists(log):
            shutil.copy(log, os.path.join(where, os.path.basename(log)))
    return where


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        machine = item.funcargs.get("machine")
        where = keep(item.name, machine, item.funcargs.get("tmp_path", ""))
        report.sections.append(("logs", f"kept in {where}"))
        if machine is not None:
            report.sections.append(("console", machine.console(30)))
