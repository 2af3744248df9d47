"""What is documented is what there is: verbs, options, routes.

SPDX-License-Identifier: MIT
"""
import json
import os
import pathlib
import re
import subprocess

REINSERT = os.environ["REINSERT"]
DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs"
MAN = (DOCS / "reinsert.1.scd").read_text()
API = (DOCS / "api.md").read_text()


def verbs():
    out = subprocess.check_output([REINSERT, "help", "--json"])
    return json.loads(out)


def man_sections():
    text = MAN.split("\n# VERBS\n")[1].split("\n# ")[0]
    parts = re.split(r"^## (\S+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def plain(scd):
    return re.sub(r"[*_\\]", "", scd)


def test_manual_has_each_verb_and_no_other():
    assert set(man_sections()) == {v["verb"] for v in verbs()}


def test_manual_has_each_option_and_no_other():
    sections = man_sections()
    for verb in verbs():
        text = subprocess.check_output([REINSERT, verb["verb"], "--help"],
                                       text=True)
        wanted = re.findall(r"^  (-\w, --[\w-]+(?: [A-Z|]+)?)  ", text, re.M)
        section = plain(sections[verb["verb"]])
        have = re.findall(r"^(-\w, --[\w-]+(?: [A-Z|]+)?)$", section, re.M)
        assert set(have) == set(wanted), verb["verb"]


def test_manual_has_each_usage_line():
    synopsis = plain(MAN.split("# SYNOPSIS")[1].split("\n# ")[0])
    lines = [" ".join(line.rstrip("+").split())
             for line in synopsis.splitlines()]
    for verb in verbs():
        usage = f"reinsert {verb['verb']} {verb['args']}".strip()
        assert usage in lines


def test_help_verb_is_the_same_as_dash_help():
    for verb in verbs():
        assert (subprocess.check_output([REINSERT, "help", verb["verb"]]) ==
                subprocess.check_output([REINSERT, verb["verb"], "--help"]))


def test_api_page_has_each_route_with_an_example(tmp_path):
    image = tmp_path / "A.img"
    image.write_bytes(b"\0" * 1024)
    control = tmp_path / "control"
    service = subprocess.Popen(
        [REINSERT, "serve", image, "--control", control, "--nbd",
         f"unix:{tmp_path}/nbd", "--json", "--quiet"], stdout=subprocess.PIPE)
    try:
        service.stdout.readline()
        routes = json.loads(subprocess.check_output(
            ["curl", "-s", "--unix-socket", control, "http://localhost/v1"]))
    finally:
        service.terminate()
        service.communicate()
    parts = re.split(r"^### (\w+ \S+)$", API, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2]))
    assert set(sections) == {f"{r['method']} {r['path']}"
                             for r in routes["routes"]}
    for route in routes["routes"]:
        section = sections[f"{route['method']} {route['path']}"]
        assert "curl --unix-socket $S" in section
        for field in route.get("body", {}):
            assert f"`{field}`" in section
