"""What is in an image: run inside it, on Python 2.7 and later, with nothing but the standard library.

Prints one line of JSON. The person's own packages are left out: they are not the image's.
"""

import json
import os
import re
import sys

PACKAGES = {
    "ipykernel": r"ipykernel",
    "tensorflow": r"(?:tensorflow|tf)(?:_gpu|_cpu|_nightly|_intel|_rocm|_nightly_gpu)?",
}


def versions(names):
    """The versions of distributions by what their folders of metadata are called: no module is imported for it."""
    found = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            for name, pattern in names.items():
                match = re.match(r"(?i)%s-([^-]+?)(-py[\d.]+)?\.(dist|egg)-info$" % pattern, entry)
                if match and name not in found:
                    found[name] = match.group(1)
    return found


def look():
    """All that is asked."""
    found = versions(PACKAGES)
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "ipykernel": found.get("ipykernel"),
        "tensorflow": found.get("tensorflow"),
    }


if __name__ == "__main__":
    sys.path = [folder for folder in sys.path if folder]
    print(json.dumps(look()))
