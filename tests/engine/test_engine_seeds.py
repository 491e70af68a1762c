"""Engines of a test's own share the files of their images: what one does to them reaches no other."""

from __future__ import annotations

import json

from engines import LAYERS, contents, private_engine, seed
from homes import LEGACY, MODERN

# As root: other bytes at the same size, other times, mode and owner, a file less, a folder elsewhere, more in a folder.
CHANGES = """set -e
printf X | dd of=/etc/debian_version conv=notrunc
touch /etc/hostname /etc/passwd; echo more >> /etc/passwd
chmod 700 /etc/group; chown 7:7 /etc/shadow
rm /etc/issue; mv /etc/apt /moved; touch /usr/bin/more
"""


def test_what_engines_share_stays_as_it_was() -> None:
    """By this test, and by all that have used it since it was made."""
    with private_engine() as engine:
        engine.seed(MODERN)
        engine.start()
        engine.docker("run", "--name", "changing", MODERN, "sh", "-c", CHANGES)
        said = engine.docker("run", "--rm", MODERN, "sh", "-c", "cat /etc/debian_version; ls /etc/issue")
        engine.docker("commit", "changing", "changed")
        inside = engine.docker("run", "--rm", "changed", "cat", "/etc/debian_version")
        assert (inside[0], inside[1:]) == ("X", said.splitlines(keepends=True)[0][1:])
        engine.docker("rm", "changing")
        engine.docker("rmi", "changed", MODERN)
        assert not engine.docker("images", "--all", "--quiet")
        layers = engine.folder / "data" / LAYERS
        assert not [one for one in layers.iterdir() if one.name != "l"]
    for image in (LEGACY, MODERN):
        with seed(image) as data:
            before, after = json.loads(data.with_suffix(".json").read_text()), contents(data / LAYERS)
            assert len(before) > 1000
            changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
            assert not changed, f"Remove {data} once it is clear who changed these."


def test_an_engine_that_is_given_an_image_while_it_runs() -> None:
    """It runs with the same options afterwards."""
    with private_engine() as engine:
        engine.start("--label=of=this-test")
        engine.load(MODERN, "more/names:1")
        assert engine.docker("info", "--format", "{{.Labels}}").strip() == "[of=this-test]"
        ids = engine.docker("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}").split()
        assert ids[0] == ids[2]
        assert {ids[1], ids[3]} == {MODERN, "more/names:1"}
        assert engine.docker("run", "--rm", "more/names:1", "echo", "1") == "1\n"
