"""Packs what a snapshot takes: run in the container as root, on Python 2.7 and later, with the standard library only.

Reads JSON, the ``paths`` that have changed and the ``target`` of the person's own packages, and writes an archive.
"""

import io
import json
import os
import site
import sys
import tarfile

# Its own packages come after the home's, before the image's; those of a later snapshot before those of an earlier one.
# Python runs such a line of a .pth file when it starts.
PTH = """\
import site, sys; _n = len(sys.path); site.addsitedir({packages!r}); _new = sys.path[_n:]; del sys.path[_n:]; \
_at = [_i for _i, _one in enumerate(sys.path) if _one == {here!r} or _one.startswith({root!r})]; \
_n = min(_at or [_n]); sys.path[_n:_n] = _new
"""
ROOT = "/opt/tfcontainer/"


def site_folder():
    """Where this interpreter looks for .pth files."""
    try:
        folders = site.getsitepackages()
    except AttributeError:  # an old virtual environment
        from distutils.sysconfig import get_python_lib

        folders = [get_python_lib()]
    return next((one for one in folders if os.path.isdir(one)), folders[0])


def anybody(member):
    """What was the person's own is root's in the image."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def add(archive, path, name, change=lambda member: member):
    """Put one file, link or folder into the archive, not what is in the folder."""
    try:
        member = archive.gettarinfo(path, name)
        if member is None:
            return  # a socket
        member = change(member)
        if member.isreg():
            with open(path, "rb") as content:
                archive.addfile(member, content)
        else:
            archive.addfile(member)
    except (IOError, OSError) as error:
        sys.stderr.write("%s: %s\n" % (path, error))  # it has gone meanwhile


def add_packages(archive, base, target):
    """The person's own packages, and what makes them importable."""
    for folder, folders, files in os.walk(base):
        folders[:] = [one for one in folders if one != "__pycache__"]
        for name in folders + files:
            path = os.path.join(folder, name)
            add(archive, path, (target + path[len(base) :]).lstrip("/"), anybody)
    python = "python%d.%d" % sys.version_info[:2]
    if os.path.isdir(os.path.join(base, "lib", python, "site-packages")):
        here = site_folder()
        packages = "%s/lib/%s/site-packages" % (target, python)
        content = PTH.format(packages=packages, here=here, root=ROOT).encode()
        member = tarfile.TarInfo("%s/tfcontainer-%s.pth" % (here.lstrip("/"), os.path.basename(target)))
        member.size = len(content)
        member.mode = 0o644
        archive.addfile(member, io.BytesIO(content))


def main():
    """Read what is wanted, write the archive."""
    wanted = json.loads(getattr(sys.stdin, "buffer", sys.stdin).read().decode("utf-8"))
    output = getattr(sys.stdout, "buffer", sys.stdout)
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in wanted["paths"]:
            add(archive, path, path.lstrip("/"))
        base = os.environ.get("PYTHONUSERBASE", "")
        if base and os.path.isdir(base):
            add_packages(archive, base, wanted["target"])


if __name__ == "__main__":
    main()
