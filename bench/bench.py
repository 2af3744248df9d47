#!/usr/bin/python3
#
# bench.py - our NBD server beside nbdkit and qemu-nbd, as ratios in one run
#
# One image on tmpfs, served by all three at the same time over unix sockets;
# each cell of the table is the median of several runs, the servers taking
# turns.  Clients: nbdload (light, so that the server is the limit), fio's nbd
# engine (at small blocks the limit itself: its own CPU is shown), nbdcopy.
# Only ratios mean anything: never compare numbers of two machines or days.
#
# SPDX-License-Identifier: MIT
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")
SERVERS = ("ours", "nbdkit", "qemu-nbd")

# mode, block bytes, depth, text, wanted ours/nbdkit, wanted ours/qemu-nbd
ROWS = (
    ("randread", 4096, 32, "4 KiB random read, QD32", 1.5, 3.0),
    ("randwrite", 4096, 32, "4 KiB random write, QD32", 1.2, 2.5),
    ("randread", 4096, 1, "4 KiB random read, QD1", 1.0, 1.5),
    ("randwrite", 4096, 1, "4 KiB random write, QD1", 1.0, 1.5),
    ("seqread", 1 << 20, 4, "1 MiB sequential read, QD4", 0.95, 2.0),
    ("seqwrite", 1 << 20, 4, "1 MiB sequential write, QD4", 0.95, 2.0),
)
CPU_ROW = ("server CPU per 4 KiB QD32 read", 0.6, 0.25)


def cpu_seconds(pid):
    """User and system time of a process, with its ended threads."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def receive(sock, count):
    """So many bytes: with a time limit MSG_WAITALL does not wait for all."""
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the server closed the connection")
        data += part
    return data


def nbd_open(path, name):
    """A connection in transmission phase, or None: no such export."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(path)
    receive(sock, 18)
    data = name.encode()
    data = struct.pack(">I", len(data)) + data + b"\0\0"
    sock.sendall(struct.pack(">I", 3) + b"IHAVEOPT" +
                 struct.pack(">II", 7, len(data)) + data)
    while True:
        kind, length = struct.unpack(">12xII", receive(sock, 20))
        receive(sock, length)
        if kind == 1:
            return sock
        if kind >= 1 << 31:
            sock.close()
            return None


class Server:
    def __init__(self, name, command, path, exports, log):
        self.name, self.path, self.export = name, path, ""
        self.log = open(log, "w+")
        self.process = subprocess.Popen(command, stdout=self.log,
                                        stderr=self.log)
        self.await_export(exports)

    def await_export(self, exports):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            for export in exports:
                try:
                    sock = nbd_open(self.path, export)
                except OSError:
                    continue
                if sock is not None:
                    sock.close()
                    self.export = export
                    return
            time.sleep(0.05)
        self.log.seek(0)
        self.stop()
        sys.exit(f"bench: {self.name} does not serve:\n{self.log.read()}")

    def uri(self):
        return f"nbd+unix:///{self.export}?socket={self.path}"

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()


def make_image(path, size):
    """Every block is written: a hole would be read without any work."""
    chunk = os.urandom(1 << 20)
    with open(path, "wb") as image:
        for number in range(size >> 20):
            image.write(struct.pack("<Q", number) + chunk[8:])


def start_ours(args, folder, image):
    path = os.path.join(folder, "ours")
    if args.alone:
        command = [args.alone, "unix:" + path, image]
    else:
        config = os.path.join(folder, "bench.conf")
        with open(config, "w") as file:
            file.write(f"[service]\nnbd = unix:{path}\n"
                       f"control = {folder}/control\n\n"
                       "[drive bench]\ntype = disk\nport = virtual\n"
                       f"medium = {image}\ncache = none\n")
        command = [args.server, "serve", "--config", config]
    return Server("ours", command, path, ("", "drive:bench"),
                  os.path.join(folder, "ours.log"))


def start_servers(args, folder, image, servers):
    servers["ours"] = start_ours(args, folder, image)
    path = os.path.join(folder, "nbdkit")
    servers["nbdkit"] = Server(
        "nbdkit", ["nbdkit", "-f", "-U", path, "file", image], path, ("",),
        path + ".log")
    path = os.path.join(folder, "qemu")
    servers["qemu-nbd"] = Server(
        "qemu-nbd", ["qemu-nbd", "-t", "-x", "name", "--cache=writeback",
                     "--aio=threads", "-e", "8", "-k", path, "--image-opts",
                     "driver=raw,file.driver=file,file.locking=off,"
                     f"file.filename={image}"],
        path, ("name",), path + ".log")


def run_nbdload(args, server, mode, block, depth):
    out = subprocess.run(
        [args.nbdload, "unix:" + server.path, server.export, mode, str(block),
         str(depth), str(args.seconds)],
        check=True, capture_output=True, text=True).stdout.split()
    values = dict(zip(out[::2], map(float, out[1::2])))
    return {"rate": values["iops"], "requests": values["requests"],
            "client_cpu": values["cpu"] / values["seconds"]}


def run_fio(args, server, mode, block, depth):
    out = subprocess.run(
        ["fio", "--name=bench", "--ioengine=nbd", "--uri=" + server.uri(),
         "--rw=" + mode.replace("seq", ""), f"--bs={block}",
         f"--iodepth={depth}", f"--size={args.size}", "--time_based",
         f"--runtime={args.seconds}", "--norandommap", "--gtod_reduce=1",
         "--output-format=json"],
        check=True, capture_output=True, text=True, cwd="/tmp").stdout
    job = json.loads(out[out.index("{"):])["jobs"][0]
    side = job["read" if mode.endswith("read") else "write"]
    return {"rate": side["iops"], "requests": side["total_ios"],
            "client_cpu": (job["usr_cpu"] + job["sys_cpu"]) / 100}


def measure(args, client, servers, row):
    """Alternating runs; per server the medians of rate and CPU."""
    run = {"nbdload": run_nbdload, "fio": run_fio}[client]
    samples = {name: [] for name in SERVERS}
    for turn in range(args.runs):
        order = SERVERS[turn % 3:] + SERVERS[:turn % 3]
        for name in order:
            before = servers[name].cpu()
            sample = run(args, servers[name], *row[:3])
            sample["server_us"] = ((servers[name].cpu() - before) * 1e6 /
                                   max(sample["requests"], 1))
            samples[name].append(sample)
    result = {}
    for name, list_ in samples.items():
        rates = [sample["rate"] for sample in list_]
        result[name] = {key: statistics.median(s[key] for s in list_)
                        for key in ("rate", "client_cpu", "server_us")}
        result[name]["spread"] = ((max(rates) - min(rates)) /
                                  result[name]["rate"])
    return result


def measure_copy(args, servers):
    samples = {name: [] for name in SERVERS}
    for _ in range(args.runs):
        for name in SERVERS:
            start = time.monotonic()
            subprocess.run(["nbdcopy", servers[name].uri(), "null:"],
                           check=True)
            samples[name].append(args.size / (time.monotonic() - start) / 1e6)
    return {name: {"rate": statistics.median(list_)}
            for name, list_ in samples.items()}


def idle_cpu(server, seconds):
    """Share of one CPU with a connected client that does nothing."""
    sock = nbd_open(server.path, server.export)
    sock.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, 4096))
    receive(sock, 16 + 4096)
    time.sleep(0.1)
    before = server.cpu()
    time.sleep(seconds)
    used = server.cpu() - before
    sock.close()
    return used / seconds


def ratio(result, key, against):
    return result["ours"][key] / max(result[against][key], 1e-9)


def rate_text(block, rate):
    if block >= 1 << 20:
        return f"{rate * block / 1e6:.0f} MB/s"
    return f"{rate / 1000:.1f} k/s"


def line(text, client, cells, ratios, verdict):
    return "| " + " | ".join([text, client] + cells +
                             [f"{value:.2f} (>= {want})" if more else
                              f"{value:.2f} (<= {want})"
                              for value, want, more in ratios] +
                             [verdict]) + " |"


def table(results, copy):
    """The lines of the table, and the rows whose target is missed with the
    light client."""
    lines = ["| row | client | ours | nbdkit file | qemu-nbd | ours / nbdkit "
             "| ours / qemu-nbd | target |",
             "|---|---|---|---|---|---|---|---|"]
    missed = []
    for client, row, result in results:
        mode, block, _, text, kit, qemu = row
        ratios = [(ratio(result, "rate", "nbdkit"), kit, True),
                  (ratio(result, "rate", "qemu-nbd"), qemu, True)]
        met = all(value >= want for value, want, _ in ratios)
        busy = result["ours"]["client_cpu"]
        verdict = "met" if met else "missed"
        if not met and busy > 0.9:
            verdict += f", client at {busy:.0%} CPU"
        if not met and client == "nbdload":
            missed.append(text)
        lines.append(line(text, client,
                          [rate_text(block, result[name]["rate"])
                           for name in SERVERS], ratios, verdict))
    for client, row, result in results:
        if row is not ROWS[0]:
            continue
        text, kit, qemu = CPU_ROW
        ratios = [(ratio(result, "server_us", "nbdkit"), kit, False),
                  (ratio(result, "server_us", "qemu-nbd"), qemu, False)]
        met = all(value <= want for value, want, _ in ratios)
        if not met and client == "nbdload":
            missed.append(text)
        lines.append(line(text, client,
                          [f"{result[name]['server_us']:.2f} us"
                           for name in SERVERS], ratios,
                          "met" if met else "missed"))
    cells = [f"{copy[name]['rate']:.0f} MB/s" for name in SERVERS]
    lines.append(f"| whole image | nbdcopy | {' | '.join(cells)} | "
                 f"{ratio(copy, 'rate', 'nbdkit'):.2f} | "
                 f"{ratio(copy, 'rate', 'qemu-nbd'):.2f} | |")
    return lines, missed


def spread_text(results):
    worst = max((cell["spread"], client, row[3], name)
                for client, row, result in results
                for name, cell in result.items())
    return (f"Largest spread, (max - min) / median: {worst[0]:.0%} "
            f"({worst[3]}, {worst[1]}, {worst[2]}).")


def bench(args, folder, image):
    servers = {}
    results = []
    try:
        start_servers(args, folder, image, servers)
        for row in ROWS:
            for client in ("nbdload", "fio"):
                result = measure(args, client, servers, row)
                results.append((client, row, result))
                print(f"{row[3]}, {client}: " + ", ".join(
                    f"{name} {rate_text(row[1], result[name]['rate'])}"
                    for name in SERVERS), flush=True)
        copy = measure_copy(args, servers)
        idle = idle_cpu(servers["ours"], args.idle)
    finally:
        for server in servers.values():
            server.stop()
    return results, copy, idle


def parse_args():
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
    build = os.path.join(TOP, "build")
    parser = argparse.ArgumentParser(
        description="Compare our NBD server with nbdkit and qemu-nbd.")
    parser.add_argument("--server", metavar="REINSERT",
                        default=os.environ.get(
                            "REINSERT", build + "/front/cli/reinsert"))
    parser.add_argument("--alone", metavar="PROGRAM",
                        help="a server started as PROGRAM unix:PATH IMAGE: "
                        "the NBD server without the driver stack")
    parser.add_argument("--nbdload", default=os.environ.get(
        "NBDLOAD", build + "/bench/nbdload"))
    parser.add_argument("--size", type=int, metavar="MIB", default=int(
        os.environ.get("BENCH_SIZE", 128 if quick else 1024)))
    parser.add_argument("--seconds", type=int, default=1 if quick else 2,
                        help="of one run")
    parser.add_argument("--runs", type=int, default=1 if quick else 5)
    parser.add_argument("--idle", type=float, default=1 if quick else 5)
    parser.add_argument("--results", default=TOP + "/bench/results",
                        help="folder for latest.md and latest.json")
    parser.add_argument("--check", action="store_true",
                        help="exit 1 when a target is missed with nbdload")
    args = parser.parse_args()
    args.size <<= 20
    return args


def check_tools(args):
    for tool in ("nbdkit", "qemu-nbd", "fio", "nbdcopy", args.nbdload,
                 args.alone or args.server):
        if shutil.which(tool) is None:
            sys.exit(f"bench: {tool} is missing")


def report(args, results, copy, idle):
    lines, missed = table(results, copy)
    what = "the NBD server alone" if args.alone else "the whole driver stack"
    head = ["# Speed of the NBD server", "",
            f"With {what} in the path: {args.size >> 20} MiB on tmpfs, unix "
            f"socket, {os.cpu_count()} processors, medians of {args.runs} "
            f"alternating runs of {args.seconds} s.", ""]
    tail = ["", spread_text(results),
            f"Idle, with one connected client: {idle:.1%} of a processor.",
            "", "All targets are met with nbdload." if not missed else
            "Missed with nbdload: " + "; ".join(missed) + "."]
    text = "\n".join(head + lines + tail) + "\n"
    print("\n" + text)
    os.makedirs(args.results, exist_ok=True)
    with open(os.path.join(args.results, "latest.md"), "w") as file:
        file.write(text)
    with open(os.path.join(args.results, "latest.json"), "w") as file:
        json.dump({"what": what, "size_bytes": args.size, "runs": args.runs,
                   "seconds": args.seconds, "idle_cpu": idle, "nbdcopy": copy,
                   "rows": [{"row": row[3], "client": client,
                             "servers": result}
                            for client, row, result in results],
                   "missed": missed}, file, indent=1)
        file.write("\n")
    return missed or idle > 0.01


def main():
    args = parse_args()
    check_tools(args)
    folder = tempfile.mkdtemp(prefix="reinsert-bench.", dir="/tmp")
    image = tempfile.mkdtemp(prefix="reinsert-bench.", dir="/dev/shm")
    try:
        make_image(image + "/image", args.size)
        failed = report(args, *bench(args, folder, image + "/image"))
    finally:
        shutil.rmtree(image)
        shutil.rmtree(folder)
    sys.exit(1 if args.check and failed else 0)


if __name__ == "__main__":
    main()
