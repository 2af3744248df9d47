"""kernel.py - Debian's own kernel, unpacked and not installed, and an initrd

The package is fetched by apt-get into a folder that is kept, so that a second
run needs no network.  The initrd has busybox, init, and the few modules that
reach the host's files; everything else is loaded from there.

SPDX-License-Identifier: MIT
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
EARLY = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p"]
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Missing(Exception):
    """Something that the machine cannot do without; says what."""


def run(*words, cwd=None, stdin=None):
    done = subprocess.run([str(w) for w in words], cwd=cwd, text=True,
                          input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=3600, check=False,
                          env=dict(os.environ, PATH=PATH, LC_ALL="C"))
    if done.returncode != 0:
        raise Missing(f"{' '.join(str(w) for w in words)}: exit "
                      f"{done.returncode}\n{done.stdout[-2000:]}")
    return done.stdout


class Kernel:
    """image, version, and tree: the folder that has lib/modules"""

    def __init__(self, cache):
        self.cache = os.path.abspath(cache)
        os.makedirs(self.cache, exist_ok=True)
        with open(os.path.join(self.cache, "lock"), "w",
                  encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.tree = self._tree()
        self.version = os.listdir(os.path.join(self.tree, "lib/modules"))[0]
        self.image = os.path.join(self.tree, f"boot/vmlinuz-{self.version}")

    def _tree(self):
        tree = os.path.join(self.cache, "kernel")
        if os.path.isdir(tree):
            return tree
        half = tree + ".new"
        shutil.rmtree(half, ignore_errors=True)
        run("dpkg-deb", "-x", self._package(), half)
        run("depmod", "-b", half,
            os.listdir(os.path.join(half, "lib/modules"))[0])
        os.rename(half, tree)
        return tree

    def _package(self):
        for path in glob.glob(os.path.join(self.cache, "linux-image-*.deb")):
            return path
        names = re.findall(r"Depends: (linux-image-\S+)",
                           run("apt-cache", "depends", "linux-image-amd64"))
        if not names:
            raise Missing("apt knows no linux-image-amd64: apt-get update?")
        half = os.path.join(self.cache, "download")
        shutil.rmtree(half, ignore_errors=True)
        os.makedirs(half)
        run("apt-get", "-qq", "download", names[0], cwd=half)
        name, = os.listdir(half)
        path = os.path.join(self.cache, name)
        os.rename(os.path.join(half, name), path)
        return path

    def modules(self, *names):
        """The files of these modules and of what they need, in order."""
        files = []
        for name in names:
            out = run("modprobe", "-d", self.tree, "-S", self.version,
                      "--show-depends", name)
            for path in re.findall(r"^insmod (\S+)", out, re.M):
                if path not in files:
                    files.append(path)
        return files

    def initrd(self, folder):
        root = os.path.join(folder, "root")
        for name in ("bin", "proc", "sys", "dev", "run", "host", "modules"):
            os.makedirs(os.path.join(root, name))
        shutil.copy("/bin/busybox", os.path.join(root, "bin"))
        shutil.copy(os.path.join(HERE, "init"), root)
        os.chmod(os.path.join(root, "init"), 0o755)
        for n, path in enumerate(self.modules(*EARLY)):
            shutil.copy(path, os.path.join(
                root, "modules", f"{n:02}-{os.path.basename(path)}"))
        path = os.path.join(folder, "initrd")
        run("sh", "-c", 'find . | cpio -o -H newc --quiet >"$0"', path,
            cwd=root)
        shutil.rmtree(root)
        return path
