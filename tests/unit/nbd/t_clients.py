#!/usr/bin/python3
#
# t_clients.py FAKE_SERVER - the NBD server with other people's clients
#
# nbdinfo, nbdcopy, qemu-img, qemu-io and fio, against the server over the fake
# service; once completing at once, once on another thread.  Clients that are
# not installed are left out; with none, the test is skipped.
#
# SPDX-License-Identifier: MIT
import json
import os
import shutil
import subprocess
import sys
import tempfile

SIZE = 32 << 20


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          timeout=120).stdout


def nbdinfo(uri, folder):
    listed = json.loads(run("nbdinfo", "--list", "--json", uri("")))
    names = [export["export-name"] for export in listed["exports"]]
    assert names == ["ARCHIVE-A", "CD"], names
    one = json.loads(run("nbdinfo", "--json", uri("CD")))["exports"][0]
    assert one["is_read_only"] and one["export-size"] == SIZE, one
    assert one["block_size_minimum"] == 2048, one
    assert "base:allocation" in one["contexts"], one


def nbdcopy(uri, folder):
    source, back = folder + "/source", folder + "/back"
    with open(source, "wb") as file:
        file.write(os.urandom(SIZE))
    run("nbdcopy", "--flush", source, uri("ARCHIVE-A"))
    run("nbdcopy", uri("ARCHIVE-A"), back)
    run("cmp", source, back)


def qemu_img(uri, folder):
    run("qemu-img", "convert", "-f", "raw", "-O", "raw", uri("ARCHIVE-A"),
        folder + "/converted")
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", uri("ARCHIVE-A"),
        folder + "/converted")


def qemu_io(uri, folder):
    run("qemu-io", "-f", "raw", "-c", "write -P 7 0 1M", "-c", "flush", "-c",
        "write -z 64k 64k", "-c", "discard 512k 64k", "-c", "read -P 7 0 64k",
        "-c", "read -P 0 64k 64k", uri("ARCHIVE-A"))


def fio(uri, folder):
    run("fio", "--name=verify", "--ioengine=nbd", "--uri=" + uri("ARCHIVE-A"),
        "--rw=randwrite", "--bsrange=4k-256k", "--blockalign=4k",
        "--iodepth=32", "--verify=crc32c", f"--size={SIZE}",
        "--verify_state_save=0")


CLIENTS = (("nbdinfo", nbdinfo), ("nbdcopy", nbdcopy), ("qemu-img", qemu_img),
           ("qemu-io", qemu_io), ("fio", fio))


def serve(server, slow_us):
    ran = 0
    with tempfile.TemporaryDirectory(prefix="t_nbd.") as folder:
        path = folder + "/socket"
        process = subprocess.Popen(
            [server, "unix:" + path, str(SIZE), str(slow_us)],
            stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "ready\n"
            for name, test in CLIENTS:
                if shutil.which(name) is None:
                    continue
                test(lambda export: f"nbd+unix:///{export}?socket={path}",
                     folder)
                ran += 1
            process.terminate()
            assert process.wait(60) == 0
            assert not os.path.exists(path)
        finally:
            process.kill()
            process.wait()
    return ran


def main():
    try:
        ran = sum(serve(sys.argv[1], slow_us) for slow_us in (0, 1))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout}{error.stderr}")
    if ran == 0:
        print("no NBD client is installed")
        sys.exit(77)


if __name__ == "__main__":
    main()
