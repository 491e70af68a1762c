#!/bin/sh
# The container's command, run through the image's own ENTRYPOINT: becomes the supervisor, under an interpreter that has
# ipykernel. Arguments: the supervisor's own, and the interpreters that are still to be tried.
here=${0%/*}
config=$1
shift
[ $# -gt 0 ] || set -- python3 python python2 search python3 python python2
supervise() {
    python=$1
    shift
    exec "$python" -E -s -u "$here/supervisor.py" "$config" "$@"
}
# The supervisor sees for itself whether ipykernel is there, and comes back with the rest of the list if not. So the
# usual case costs no interpreter beside its own.
while [ "$1" != search ]; do
    python=$1
    shift
    command -v "$python" >/dev/null 2>&1 && supervise "$python" "$@"
done
# It does not look at the person's own packages, where ipykernel may be as well.
probe='
try:
    from importlib.util import find_spec
except ImportError:
    from pkgutil import find_loader as find_spec
raise SystemExit(0 if find_spec("ipykernel") else 1)
'
shift
found=
for python in "$@"; do
    command -v "$python" >/dev/null 2>&1 || continue
    found="$found $python"
    # From /, since -c puts the working folder on the path: a folder of the person's named ipykernel is not the package.
    if (cd / && "$python" -c "$probe") 2>/dev/null; then
        supervise "$python"
    fi
done
echo "no ipykernel in this image; looked in:${found:- (no Python at all)}" >&2
exit 86
