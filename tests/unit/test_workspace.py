"""Which host folders a kernel sees, and where."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_tfcontainer.workspace import HOME, NOTEBOOKS, OURS, RUN, Workspace, bind

# Names that occur in what the module knows, and some that do not: the interesting paths are made of both.
NAMES = st.sampled_from(
    ["bin", "etc", "home", "lib", "notebooks", "opt", "tfcontainer", "tmp", "usr", "x", "数据", "a b"]
)
PARTS = st.lists(NAMES, max_size=4)
FOLDERS = PARTS.map(lambda parts: Path("/", *parts))
# What an image and we ourselves need at its place.
NEEDED = [PurePosixPath(path) for path in ("/", "/etc", "/home", "/lib", "/opt", "/root", "/srv", "/usr", "/var")]


@pytest.mark.parametrize(
    "root",
    [
        "/home/x",
        "/home/x/work",
        "/data",
        "/mnt/disk",
        "/opt/project",
        "/srv/share/team",
        "/media/disk",
        "/rooted",
        "/usrx",
    ],
)
def test_mounted_at_its_own_path_as_well(root: str) -> None:
    assert Workspace(Path(root)).places == (NOTEBOOKS, PurePosixPath(root))


@pytest.mark.parametrize(
    "root",
    [
        *("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin"),
        *("/sys", "/usr", "/var", "/usr/local/share", "/etc/x", "/var/lib/data", "/run/user/1000"),
        *("/home", "/media", "/mnt", "/opt", "/root", "/srv"),
        *("/notebooks", "/notebooks/deep", "/tfcontainer", "/tfcontainer/home"),
    ],
)
def test_never_in_the_place_of_what_the_image_needs(root: str) -> None:
    assert Workspace(Path(root)).places == (NOTEBOOKS,)


@settings(database=None, deadline=None)
@given(root=FOLDERS)
def test_no_place_hides_what_is_needed(root: Path) -> None:
    places = Workspace(root).places
    assert places[0] == NOTEBOOKS
    for place in places[1:]:
        assert place == PurePosixPath(root)
        for needed in (*NEEDED, NOTEBOOKS, OURS, HOME, RUN):
            assert not needed.is_relative_to(place)


@settings(database=None, deadline=None)
@given(root=FOLDERS, within=PARTS)
def test_a_path_in_the_workspace_is_below_notebooks(root: Path, within: list[str]) -> None:
    assert Workspace(root).inside(root.joinpath(*within)) == NOTEBOOKS.joinpath(*within)


@settings(database=None, deadline=None)
@given(root=FOLDERS, path=FOLDERS)
def test_a_path_elsewhere_is_nowhere(root: Path, path: Path) -> None:
    inside = Workspace(root).inside(path)
    assert (inside is None) == (root != path and root not in path.parents)


@pytest.mark.parametrize("path", ["/home/xy", "/home", "/home/y/x", "/", "/data/home/x"])
def test_a_name_that_begins_the_same_is_elsewhere(path: str) -> None:
    assert Workspace(Path("/home/x")).inside(Path(path)) is None


def test_mounts_bind_the_workspace_at_each_place() -> None:
    assert Workspace(Path("/home/x")).mounts == [
        {"Type": "bind", "Source": "/home/x", "Target": "/notebooks"},
        {"Type": "bind", "Source": "/home/x", "Target": "/home/x"},
    ]
    assert Workspace(Path("/usr/share/x")).mounts == [bind(Path("/usr/share/x"), NOTEBOOKS)]


def test_masks_lie_on_each_place_of_the_folder_and_are_empty() -> None:
    masks = Workspace(Path("/home/x"), (Path("/home/x/.jupyter"), Path("/etc/jupyter"))).mounts[2:]
    assert [mask["Target"] for mask in masks] == ["/notebooks/.jupyter", "/home/x/.jupyter"]
    for mask in masks:
        assert mask["Type"] == "tmpfs"
        assert mask["ReadOnly"] is True
        # Nothing can be written to it, not even by root.
        assert mask["TmpfsOptions"]["Mode"] & 0o222 == 0


def test_a_folder_that_has_two_roles_is_masked_once() -> None:
    """The engine refuses two mounts at one place."""
    data = Path("/home/x/jupyter")
    targets = [mount["Target"] for mount in Workspace(Path("/home/x"), (data, data / "runtime", data)).mounts]
    assert sorted(targets) == sorted(set(targets))
    assert f"{data}/runtime" in targets


@settings(database=None, deadline=None)
@given(root=FOLDERS, masked=st.lists(FOLDERS, max_size=3), within=PARTS)
def test_nothing_below_a_mask_is_seen(root: Path, masked: list[Path], within: list[str]) -> None:
    workspace = Workspace(root, tuple(masked))
    masks = [PurePosixPath(mount["Target"]) for mount in workspace.mounts if mount["Type"] == "tmpfs"]
    for folder in masked:
        inside = workspace.inside(folder)
        for place in workspace.places if inside else ():
            seen = place / folder.joinpath(*within).relative_to(root)
            assert any(seen.is_relative_to(mask) for mask in masks)
