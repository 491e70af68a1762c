"""The catalog: what it holds, how it is looked up, and how it is made from facts."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_tfcontainer.compatibility.catalog import Catalog, load
from jupyter_tfcontainer.compatibility.catalog_file import read
from jupyter_tfcontainer.compatibility.records import Image, numbers

ROOT = Path(__file__).parent.parent.parent.parent
SIZE = 60_000


def maker() -> Any:
    """scripts/catalog.py, which is no package."""
    spec = importlib.util.spec_from_file_location("make_catalog", ROOT / "scripts/catalog.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return read()


def image(catalog: Catalog, reference: str) -> Image:
    """The image of that reference, which must be there."""
    found = catalog.of_image(reference)
    assert found is not None
    return found


# -- What it holds.


def test_file_is_compact() -> None:
    assert len((ROOT / "jupyter_tfcontainer/compatibility/catalog.yaml").read_text()) < SIZE


def test_every_name_and_number_leads_somewhere(data: dict[str, Any]) -> None:
    used: set[int] = set()
    for table in ("since", "cuda", "architectures", "reports", "defects", "releases", "nvidia"):
        for name, row in data[table].items():
            assert row["sources"], f"{table} {name} has no source"
            used |= {*row["sources"], *row.get("published_by", [])}
    assert used == set(range(len(data["sources"])))
    assert len(set(data["sources"])) == len(data["sources"])
    for row in data["releases"].values():
        assert row["cuda"] is None or row["cuda"] in data["cuda"]
        assert row["code"] is None or row["code"] in data["code"]
        assert row["defect"] is None or row["defect"] in data["defects"]
    assert {row["code"] for row in data["releases"].values()} - {None} == set(data["code"])
    assert {row["defect"] for row in data["releases"].values()} - {None} == set(data["defects"])


def test_releases_and_images(catalog: Catalog) -> None:
    assert len(catalog.releases) == 78
    assert sum(1 for release in catalog.releases.values() if not release.images) == 11
    versions = [numbers(version) for version in catalog.releases]
    assert versions == sorted(versions)
    references = [each.reference() for each in catalog.images]
    assert len(set(references)) == len(references) == 312 + 20
    for release in catalog.releases.values():
        assert release.tensorflow in catalog.releases
        # There are images, or there are known to be none.
        assert bool(release.images) == (release.published is not False)
        assert release.sources
        for each in release.images:
            assert each.tag.startswith(release.tensorflow)
            assert each.device == ("gpu" if "-gpu" in each.tag else "cpu")
            assert (each.cuda is not None) == (each.device == "gpu")
            assert each.sources == release.sources
            if "-jupyter" in each.tag:
                assert each.jupyter
            assert each.python is None or re.fullmatch(r"[23]\.\d+", each.python)
            if "-py3" in each.tag:
                assert each.python_major == 3


def test_tables_are_ordered_and_sound(catalog: Catalog) -> None:
    versions = [numbers(version) for version in catalog.cuda]
    assert versions == sorted(versions)
    for cuda in catalog.cuda.values():
        assert cuda.minimum_driver is not None
        if cuda.toolkit_driver:
            assert numbers(cuda.minimum_driver) <= numbers(cuda.toolkit_driver)
        assert cuda.oldest is not None
        assert cuda.newest is not None
        assert cuda.oldest[0] <= int(cuda.newest.split(".")[0])
    drivers = [numbers(cuda.minimum_driver or "0") for cuda in catalog.cuda.values()]
    # 11.0 was released with an earlier driver, and is asked for in that version.
    assert drivers == sorted(drivers)
    generations = [each.capability for each in catalog.architectures]
    assert generations == sorted(set(generations))
    for generation in catalog.architectures:
        assert numbers(generation.first_cuda)
        assert generation.cards
    for wheel, code in ((each.tag, each.code) for each in catalog.images if each.code):
        assert code.machine == tuple(sorted(code.machine)), wheel
        assert code.ptx, wheel
        assert code.wheel.endswith("x86_64.whl")


def test_what_is_known_of_the_flagship(catalog: Catalog) -> None:
    """tensorflow_images, 1.2.1: base image nvidia/cuda:8.0-cudnn5, the wheel's fatbin headers."""
    found = image(catalog, "tensorflow/tensorflow:1.2.1-gpu-py3")
    assert (found.tensorflow, found.device, found.python, found.jupyter) == ("1.2.1", "gpu", "3.5", True)
    assert found.cuda is not None
    assert (found.cuda.version, found.cudnn, found.cuda.minimum_driver) == ("8.0", "5.1", "367.48")
    assert found.code is not None
    assert found.code.machine == found.code.ptx == ((3, 0), (3, 5), (5, 2))
    assert found.code.wheel == "tensorflow_gpu-1.2.1-cp35-cp35m-manylinux1_x86_64.whl"
    assert (found.workdir, found.needs_libcuda, found.avx, found.growth) == ("/notebooks", True, False, False)
    assert any("git tag v1.2.1 of tensorflow/tensorflow" in source for source in found.sources)


def test_what_is_not_known_stays_so(catalog: Catalog) -> None:
    assert catalog.releases["0.12.0"].published is None
    assert image(catalog, "tensorflow/tensorflow:0.12.0-gpu-py3").python is None
    assert image(catalog, "tensorflow/tensorflow:0.12.1-gpu").code is None
    latest = image(catalog, "nvcr.io/nvidia/tensorflow:23.03-tf1-py3")
    assert (latest.cuda, latest.minimum_driver, latest.oldest, latest.jupyter, latest.architecture) == (None,) * 5


def test_a_wheel_of_another_release_is_said_to_be_so(catalog: Catalog) -> None:
    code = image(catalog, "tensorflow/tensorflow:2.11.1-gpu").code
    assert code is not None
    assert code.wheel.startswith("tensorflow-2.11.0-")


@pytest.mark.parametrize(
    ("release", "certain"), [("2.15.0", True), ("2.18.0", True), ("2.19.0", True), ("2.20.0", False), ("2.21.0", True)]
)
def test_broken_images(catalog: Catalog, release: str, certain: bool) -> None:
    gpu, cpu = catalog.find(release, "gpu"), catalog.find(release, "cpu")
    assert gpu is not None
    assert gpu.defect is not None
    assert gpu.defect.certain is certain
    assert gpu.defect.sources
    assert cpu is not None
    assert cpu.defect is None


def test_images_that_work_have_no_defect(catalog: Catalog) -> None:
    broken = {each.tensorflow for each in catalog.images if each.defect}
    assert broken == {"2.15.0", "2.18.0", "2.19.0", "2.20.0", "2.21.0"}


# -- How it is looked up.


@pytest.mark.parametrize(
    ("release", "device", "python", "tag"),
    [
        ("1.2.1", "gpu", None, "1.2.1-gpu-py3"),
        ("1.2.1", "gpu", "2", "1.2.1-gpu"),
        ("1.2.1", "cpu", "2.7", "1.2.1"),
        ("1.2.1", "gpu", "3.6", None),
        # 3.1 is not the beginning of 3.11.
        ("2.17.0", "gpu", "3.1", None),
        ("2.17.0", "gpu", "3.11", "2.17.0-gpu-jupyter"),
        ("1.13.1", "gpu", None, "1.13.1-gpu-py3-jupyter"),
        ("1.15.2", "cpu", None, "1.15.2-py3-jupyter"),
        ("0.12.0", "gpu", "3", "0.12.0-gpu-py3"),
        ("2.1.1", "cpu", None, "2.1.1-jupyter"),
        ("2.17.1", "gpu", None, None),
        ("9.9.9", "gpu", None, None),
    ],
)
def test_find(catalog: Catalog, release: str, device: str, python: str | None, tag: str | None) -> None:
    found = catalog.find(release, "gpu" if device == "gpu" else "cpu", python)
    assert (found.tag if found else None) == tag


@pytest.mark.parametrize(
    "reference",
    [
        "tensorflow/tensorflow:1.2.1-gpu-py3",
        "docker.io/tensorflow/tensorflow:1.2.1-gpu-py3",
        "index.docker.io/tensorflow/tensorflow:1.2.1-gpu-py3",
        "gcr.io/tensorflow/tensorflow:1.2.1-gpu-py3",
        "mirror.example:5000/hub/tensorflow/tensorflow:1.2.1-gpu-py3",
        "tensorflow/tensorflow:1.2.1-gpu-py3@sha256:" + "0" * 64,
    ],
)
def test_of_image(catalog: Catalog, reference: str) -> None:
    assert image(catalog, reference).reference() == "tensorflow/tensorflow:1.2.1-gpu-py3"


@pytest.mark.parametrize(
    "reference",
    [
        "tensorflow/tensorflow",
        "tensorflow/tensorflow:latest",
        "tensorflow/tensorflow:1.2.1-gpu-py3-mine",
        "tensorflow/tensorflow@sha256:" + "0" * 64,
        "tensorflow:1.2.1-gpu-py3",
        "mytensorflow/tensorflow:1.2.1-gpu-py3",
        "tensorflow/serving:1.2.1-gpu-py3",
        # NVIDIA's tags, elsewhere; and a registry's port is no tag.
        "tensorflow/tensorflow:23.01-tf1-py3",
        "mirror.example:5000/tensorflow/tensorflow",
        "",
    ],
)
def test_of_another_image(catalog: Catalog, reference: str) -> None:
    assert catalog.of_image(reference) is None


def test_every_image_is_found_by_its_reference_and_on_a_mirror(catalog: Catalog) -> None:
    for each in catalog.images:
        assert catalog.of_image(each.reference()) is each
        assert catalog.of_image(each.reference("mirror.example:5000/hub/")) is each


@pytest.mark.parametrize(
    ("reference", "mirrored"),
    [
        ("tensorflow/tensorflow:1.2.1-gpu-py3", "mirror:5000/hub/tensorflow/tensorflow:1.2.1-gpu-py3"),
        ("nvcr.io/nvidia/tensorflow:20.03-tf1-py3", "mirror:5000/hub/nvidia/tensorflow:20.03-tf1-py3"),
        ("other:5000/tensorflow/tensorflow:1.2.1-gpu-py3", None),
        ("my/own:image", None),
    ],
)
def test_mirror(catalog: Catalog, reference: str, mirrored: str | None) -> None:
    assert catalog.mirrored(reference, "mirror:5000/hub") == (mirrored or reference)
    assert catalog.mirrored(reference, "") == reference


def test_reference(catalog: Catalog) -> None:
    official = image(catalog, "tensorflow/tensorflow:1.2.1")
    assert official.reference("mirror.example/hub/") == "mirror.example/hub/tensorflow/tensorflow:1.2.1"
    nvidia = image(catalog, "nvcr.io/nvidia/tensorflow:23.01-tf1-py3")
    assert nvidia.reference() == "nvcr.io/nvidia/tensorflow:23.01-tf1-py3"
    assert nvidia.reference("mirror.example:5000") == "mirror.example:5000/nvidia/tensorflow:23.01-tf1-py3"


def test_search(catalog: Catalog) -> None:
    assert {each.tag for each in catalog.search("1.2.1 GPU")} == {"1.2.1-gpu", "1.2.1-gpu-py3"}
    assert {each.tag for each in catalog.search("1.13.1 jupyter python 3.5")} == {
        "1.13.1-py3-jupyter",
        "1.13.1-gpu-py3-jupyter",
    }
    found = catalog.search("cuda 8.0")
    assert {each.cuda.version for each in found if each.cuda} == {"8.0"}
    assert len(found) == 20
    assert {each.registry for each in catalog.search("nvidia")} == {"nvcr.io"}
    assert {each.tensorflow for each in catalog.search("tensorflow 2.8 -jupyter python 3")} == {"2.8.0", "2.8.3"}
    assert catalog.search("1.2.1 nvidia") == ()
    assert catalog.search("") == catalog.images


def test_architecture(catalog: Catalog) -> None:
    names = [(7, 5), (8, 7), (6, 2), (13, 0), (1, 3)]
    found = [catalog.architecture(each) for each in names]
    assert [each.name if each else None for each in found] == ["Turing", "Ampere", "Pascal", None, None]


def test_models_are_json(catalog: Catalog) -> None:
    for release in catalog.releases.values():
        model = release.model()
        assert json.loads(json.dumps(model)) == json.loads(json.dumps(model, default=list))
    model = json.loads(json.dumps(image(catalog, "tensorflow/tensorflow:1.2.1-gpu-py3").model()))
    assert model["reference"] == "tensorflow/tensorflow:1.2.1-gpu-py3"
    assert model["minimum_driver"] == "367.48"
    assert model["cuda"]["oldest"] == "2.0"
    assert model["code"]["machine"] == ["3.0", "3.5", "5.2"]
    nvidia = image(catalog, "nvcr.io/nvidia/tensorflow:23.01-tf1-py3").model()
    assert (nvidia["minimum_driver"], nvidia["oldest"]) == ("525", "6.0")


def test_versions_compare_as_numbers() -> None:
    assert numbers("2.10.0") > numbers("2.9.1")
    assert numbers("450.80.02") < numbers("450.100")
    assert numbers("1.12.0-rc2") == (1, 12, 0)


def test_it_is_read_once() -> None:
    assert load() is load()


# -- How it is made.

FACTS = """
meta: {made: '2026-01-02'}
tf_force_gpu_allow_growth: {since: 1.12.0, sources: [growth]}
cuda_min_driver:
- {cuda: 8.0 (8.0.44), toolkit_driver_linux: '367.48', min_driver_linux: '367.48', sources: [a]}
- {cuda: 8.0 GA2 (8.0.61), toolkit_driver_linux: '375.26', min_driver_linux: '375.26', sources: [a, b]}
- {cuda: 9.2 (9.2.88), toolkit_driver_linux: '396.26', min_driver_linux: '396.26', sources: [a]}
- {cuda: 9.2 Update 0, toolkit_driver_linux: '99.5', min_driver_linux: null, sources: [a]}
- {cuda: 11.2.0, toolkit_driver_linux: 460.27.03, min_driver_linux: 450.80.02, sources: [a]}
- {cuda: 11.2.1, toolkit_driver_linux: 460.32.03, min_driver_linux: 450.80.02, sources: [a]}
- {cuda: '12.8', toolkit_driver_linux: null, min_driver_linux: 525.60.13, sources: [a]}
- {cuda: 13.x, toolkit_driver_linux: null, min_driver_linux: '580', sources: [a]}
cuda_compute_capability:
  rows:
  - {cuda: '8.0', sass_min: '2.0', sass_max: 6.x, sources: [c]}
  - {cuda: 11.1-11.4, sass_min: '3.5', sass_max: 8.0-8.6, sources: [c]}
gpu_architectures:
- {architecture: Kepler, compute_capability: '3.7', example_cards: [K80], first_cuda: '6.0', last_driver: R470,
   sources: [d]}
- {architecture: Turing, compute_capability: '7.5', example_cards: [T4], first_cuda: '10.0', last_driver: ongoing,
   sources: [d]}
tensorflow_images:
- tensorflow: 1.2.1
  images_published: true
  images_published_evidence: seen
  variants:
  - {tags: [1.2.1-gpu, 1.2.1-gpu-old], device: gpu, python: null, jupyter: true, workdir: unset, other: 1}
  gpu:
    {cuda: '8.0', cudnn: '5.1', min_driver_linux: '367.48', toolkit_driver_linux: '375.26',
     import_needs_libcuda_so_1: true,
     compute_capability: {sass: ['3.0', '5.2'], ptx: ['5.2'], measured_on_wheel: tensorflow_gpu-1.2.1-x86_64.whl}}
  sources: [git tag v1.2.1 of tensorflow, docs]
  notes: [Prebuilt binaries use AVX from 1.6 on (RELEASE.md 1.6.0).]
- tensorflow: 2.5.0
  images_published: null
  images_published_evidence: null
  variants: []
  gpu: {cuda: '11.2', cudnn: null, min_driver_linux: 450.80.02, toolkit_driver_linux: 460.27.03,
        import_needs_libcuda_so_1: null, compute_capability: null}
  sources: [git tag v2.5.0 of tensorflow]
  notes: ['GPU does not work as shipped: libcudnn8 8.9.6.50 measured']
- tensorflow: 2.5.2
  images_published: false
  images_published_evidence: none
  variants: []
  gpu: null
  sources: [docs]
ngc_tf1_images:
- {image: 'nvcr.io/nvidia/tensorflow:20.06-tf1-py3', tensorflow: null, python: '3.6', cuda: 11.2.167, cudnn: 8.0.1,
   min_driver_linux: '450', data_center_gpu_drivers_also_ok: null, compute_capability_min: null, jupyter: true,
   workdir: null, sources: [e]}
"""


@pytest.fixture
def facts() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FACTS)
    return loaded


def test_made_from_facts(facts: dict[str, Any]) -> None:
    made = maker().catalog(facts)
    sources = made["sources"]

    def named(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "sources": [sources[place] for place in row["sources"]]}

    assert named(made["cuda"]["8.0"]) == {
        "minimum_driver": "367.48",
        "toolkit_driver": "375.26",
        "oldest": "2.0",
        "newest": "6.x",
        "sources": ["a", "b", "c"],
    }
    assert len(set(sources)) == len(sources)
    # Of several patches the first, by number; of a range the newest.
    assert (made["cuda"]["9.2"]["minimum_driver"], made["cuda"]["9.2"]["toolkit_driver"]) == ("396.26", "99.5")
    assert made["cuda"]["11.2"]["newest"] == "8.6"
    assert made["cuda"]["11.2"]["toolkit_driver"] == "460.27.03"
    assert made["cuda"]["12.8"]["toolkit_driver"] is None
    assert made["cuda"]["12.8"]["newest"] is None
    assert "13.x" not in made["cuda"]
    assert made["architectures"]["3.7"]["last_driver"] == 470
    assert made["architectures"]["7.5"]["last_driver"] is None
    assert made["since"]["avx"]["tensorflow"] == "1.6.0"
    assert made["since"]["growth"]["tensorflow"] == "1.12.0"
    assert made["code"] == {
        "1.2.1": {"machine": "3.0 5.2", "ptx": "5.2", "partly": "", "wheel": "tensorflow_gpu-1.2.1-x86_64.whl"}
    }
    release = made["releases"]["1.2.1"]
    told = ["gpu", None, True, "unset"]
    assert release["images"] == {"1.2.1-gpu": told, "1.2.1-gpu-old": told}
    assert named(release)["sources"] == ["git tag v{tensorflow} of tensorflow", "docs"]
    # The same but for the release: once.
    assert made["releases"]["2.5.0"]["sources"] == release["sources"][:1]
    assert made["releases"]["2.5.0"]["published"] is None
    assert made["releases"]["2.5.0"]["defect"] == "cudnn-8"
    assert made["releases"]["2.5.2"]["cuda"] is None
    assert made["nvidia"]["20.06-tf1-py3"]["cuda"] == "11.2"
    assert made["nvidia"]["20.06-tf1-py3"]["data_centre_drivers"] == []


def test_what_is_made_is_written_and_read(facts: dict[str, Any]) -> None:
    module = maker()
    made = module.catalog(facts)
    written = module.text(made)
    assert yaml.safe_load(written) == made
    assert "from facts of 2026-01-02" in written
    read_back = Catalog.from_data(yaml.safe_load(written))
    found = image(read_back, "tensorflow/tensorflow:1.2.1-gpu")
    assert found.sources == ("seen", "git tag v1.2.1 of tensorflow", "docs")
    assert not read_back.releases["2.5.2"].images


def test_facts_that_disagree_are_refused(facts: dict[str, Any]) -> None:
    facts["tensorflow_images"][1]["gpu"]["cuda"] = "8.0"
    with pytest.raises(ValueError, match=r"Two drivers for CUDA 8\.0"):
        maker().catalog(facts)


def test_wheels_of_another_processor_are_refused(facts: dict[str, Any]) -> None:
    measured = facts["tensorflow_images"][0]["gpu"]["compute_capability"]
    measured["measured_on_wheel"] = "tensorflow-1.2.1-manylinux_aarch64.whl"
    with pytest.raises(ValueError, match=r"is not for x86_64"):
        maker().catalog(facts)
