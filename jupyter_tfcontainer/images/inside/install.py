"""Installs Python packages into an image: run inside it, on Python 2.7 and later, with the standard library only.

Beside this file lie what is to be done (``spec.json``), a pip that this Python can run (``pip.whl``), where one was to
be had, and certificates (``ca.pem``), where there are some. The last line that it prints says what came of it.
"""

import json
import os
import re
import site
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
# pip can do without it for those who say so.
WITHOUT_DISTUTILS = """
import sys, sysconfig
sysconfig._PIP_USE_SYSCONFIG = True
sys.path.insert(0, sys.argv.pop(1))
from pip._internal.cli.main import main
sys.exit(main())
"""
# In front of the line for whoever started this.
RESULT = "tfcontainer-result: "


def packages():
    """The versions of the distributions that there are, by their names."""
    found = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            match = re.match(r"(.+?)-([^-]+?)(-py[\d.]+)?\.(dist|egg)-info$", entry)
            if match and match.group(1) not in found:
                found[match.group(1)] = match.group(2)
    return found


def has_distutils():
    """Whether this Python has what its pip looks for, if it does: some Debian releases keep that apart."""
    if sys.version_info < (3, 10):
        try:
            import distutils.cmd  # noqa: F401
        except ImportError:
            return False
    return True


def run_pip(arguments):
    """Run pip; its exit code comes back. Not the image's own, which may know nothing of today's packages."""
    wheel = os.path.join(HERE, "pip.whl")
    command = [sys.executable, "-s", "-m", "pip"]
    if os.path.exists(wheel):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(os.path.join(HERE, "pip"))
        command = [sys.executable, "-s", os.path.join(HERE, "pip", "pip")]
        if not has_distutils():
            command = [sys.executable, "-s", "-c", WITHOUT_DISTUTILS, os.path.join(HERE, "pip")]
            arguments = arguments + ["--target", site.getsitepackages()[0]]
    else:
        try:
            import pip  # noqa: F401
        except ImportError:
            print("This Python has no pip, and the machine of JupyterLab could not fetch one that it can run.")
            print("See that this machine reaches the index of Python packages: `python -m pip download pip`.")
            return 1
    variables = dict(os.environ, PIP_USER="0", PYTHONNOUSERSITE="1", PIP_BREAK_SYSTEM_PACKAGES="1")
    variables.update(PIP_ROOT_USER_ACTION="ignore", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_PROGRESS_BAR="off")
    variables.update(PIP_NO_PYTHON_VERSION_WARNING="1", PIP_NO_INPUT="1")
    certificates = os.path.join(HERE, "ca.pem")
    if os.path.exists(certificates):
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            variables[name] = certificates
    sys.stdout.flush()
    return subprocess.call(command + arguments, env=variables, stderr=subprocess.STDOUT)


def main():
    """Do what is to be done."""
    with open(os.path.join(HERE, "spec.json")) as file:
        spec = json.load(file)
    before = packages()
    options = ["--no-cache-dir"]
    if "setuptools" not in before and sys.version_info < (3,):
        # Else a package that is to be built takes for granted that it is there.
        options.append("--use-pep517")
    code = run_pip(["install"] + options + spec["pip"])
    if not code:
        after = packages()
        changed = {name: after[name] for name in after if before.get(name) != after[name]}
        print(RESULT + json.dumps({"changed": changed}))
    return code


if __name__ == "__main__":
    sys.exit(main())
