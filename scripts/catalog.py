"""Make compatibility/catalog.yaml from the project's file of facts: python scripts/catalog.py FACTS.

The facts say everything at length, with notes for people; the catalog has what the product reads, and where each
release's figures are from. What is not known stays null.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

CATALOG = Path(__file__).parent.parent / "jupyter_tfcontainer/compatibility/catalog.yaml"
ISSUES = "https://github.com/tensorflow/tensorflow/issues/"

HEAD = """\
# Made by scripts/catalog.py, from facts of {made}. Do not edit.
#
# null: not known. unset: the image says nothing, the base image's value holds. Numbers in `sources` and `published_by`
# count the list `sources`, from 0; {{tensorflow}} there is the release. `code` is what was measured on a wheel of PyPI;
# the image's is taken to be the same build. `machine` is machine code, `ptx` is what a driver can compile for newer
# cards, `partly` is in some kernels only. `images` has tags: [device, Python, Jupyter inside, working folder].
"""

# What people saw, which CUDA's own tables do not tell: [oldest, newest] CUDA and compute capability, null for no end.
# A card that is newer than CUDA's libraries can run if their code is there as PTX, and that is nowhere said.
REPORTS: dict[str, dict[str, Any]] = {
    "cuda-8.0-volta": {
        "cuda": ["8.0", "8.0"],
        "capabilities": ["7.0", "7.2"],
        "outcome": "slow",
        "sources": [f"{ISSUES}14701 (tensorflow/tensorflow:1.4.0-gpu-py3 on V100)"],
    },
    "cuda-8.0-turing": {
        "cuda": [None, "8.0"],
        "capabilities": ["7.5", None],
        "outcome": "fails",
        "error": "CUBLAS_STATUS_EXECUTION_FAILED",
        "sources": ["https://github.com/NVIDIA/nvidia-docker/issues/1106 (RTX 2080)"],
    },
    "cuda-9.0-turing": {
        "cuda": ["9.0", "9.0"],
        "capabilities": ["7.5", "7.5"],
        "outcome": "fails",
        "error": "CUBLAS_STATUS_EXECUTION_FAILED",
        "sources": [
            f"{ISSUES}23027 (TensorFlow 1.8 to 1.11, RTX 2080 Ti)",
            f"{ISSUES}25403 (NVIDIA suggests CUDA 10)",
            "https://github.com/thmoa/octopus/issues/11 (TensorFlow 1.6.0, RTX 2080)",
        ],
    },
    "cuda-10-ampere": {
        "cuda": ["9.0", "10.2"],
        "capabilities": ["8.0", None],
        "outcome": "fails",
        "error": "CUBLAS_STATUS_EXECUTION_FAILED",
        "sources": [
            f"{ISSUES}44832 (tensorflow/tensorflow:1.14.0-gpu-py3 on RTX 3080)",
            "https://github.com/QingyongHu/SensatUrban/issues/25 (CUDA 9.0, RTX 30)",
            "https://github.com/google-research/electra/issues/136 (CUDA 10.1, RTX 3080 Ti)",
            "https://github.com/NVIDIA-AI-IOT/face-mask-detection/issues/35",
            "https://github.com/YudongGuo/AD-NeRF/issues/132 (RTX 4090)",
            "https://docs.nvidia.com/cuda/ampere-compatibility-guide (1.3.1: CUDA 10.2 or earlier)",
        ],
    },
    "cuda-12.3-blackwell": {
        "cuda": ["12.3", "12.3"],
        "capabilities": ["12.0", "12.0"],
        "outcome": "fails",
        "error": "CUDA_ERROR_INVALID_PTX",
        "sources": [
            f"{ISSUES}101746 (TensorFlow 2.16.2 and 2.20.0, RTX 5080)",
            f"{ISSUES}90291 (TensorFlow 2.18, RTX 5070 Ti)",
        ],
    },
}

# GPU images that find no GPU as they are: what the notes of a release say, and what it means.
DEFECTS: dict[str, dict[str, Any]] = {
    "cuda-11.8": {
        "note": r"the image has CUDA 11\.8 while",
        "needs": "CUDA 12.2",
        "certain": True,
        "cure": None,
        "sources": [f"{ISSUES}62412"],
    },
    "cudnn-8": {
        "note": r"libcudnn8|no GPU registered \(cuDNN",
        "needs": "cuDNN 9",
        "certain": True,
        "cure": "pip install 'tensorflow[and-cuda]'",
        "sources": [
            "https://github.com/tensorflow/build/issues/217",
            "https://github.com/tensorflow/build/issues/221",
            f"{ISSUES}81344",
        ],
    },
    "cudnn-8-likely": {
        "note": r"cuDNN mismatch should still be there \(not measured",
        "needs": "cuDNN 9",
        "certain": False,
        "cure": None,
        "sources": ["https://github.com/tensorflow/build/issues/221 (2.19.0; its Dockerfile is that of 2.20.0)"],
    },
}
EMPTY = {"minimum_driver": None, "toolkit_driver": None, "oldest": None, "newest": None}
AVX_NOTE = r"use AVX from (\d+\.\d+) on"


class Sources:
    """The list of all sources, each once."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def numbers(self, sources: Iterable[str], tensorflow: str = "") -> list[int]:
        """Where the sources are in the list; those that differ by the release alone are one."""
        found = []
        for source in sources:
            text = re.sub(rf"(?<=\bv){re.escape(tensorflow)}\b", "{tensorflow}", source) if tensorflow else source
            if text not in self.all:
                self.all.append(text)
            found.append(self.all.index(text))
        return found


def minor(version: str) -> str | None:
    """``11.2`` of ``11.2.1 GA``; None for a family such as ``13.x``."""
    match = re.match(r"(\d+\.\d+)", version)
    return match[1] if match else None


def numbers(version: str) -> tuple[int, ...]:
    """A version, to compare."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def cudas(facts: dict[str, Any], sources: Sources) -> dict[str, dict[str, Any]]:
    """What each CUDA needs of the driver, and for which cards its libraries have code."""
    table: dict[str, dict[str, Any]] = {}
    for row in facts["cuda_min_driver"]:
        if (version := minor(row["cuda"])) is None:
            continue
        cuda = table.setdefault(version, dict(EMPTY, sources=[]))
        for key, name in (("minimum_driver", "min_driver_linux"), ("toolkit_driver", "toolkit_driver_linux")):
            cuda[key] = min((driver for driver in (cuda[key], row[name]) if driver), key=numbers, default=None)
        cuda["sources"] += [n for n in sources.numbers(row["sources"]) if n not in cuda["sources"]]
    # The releases' own figures were looked at more closely: which of CUDA's patches their image has.
    said: dict[str, tuple[Any, Any]] = {}
    for release in facts["tensorflow_images"]:
        gpu = release["gpu"]
        if gpu and gpu["cuda"]:
            drivers = (gpu["min_driver_linux"], gpu["toolkit_driver_linux"])
            if said.setdefault(gpu["cuda"], drivers) != drivers:
                raise ValueError(f"Two drivers for CUDA {gpu['cuda']}: {said[gpu['cuda']]} and {drivers}")
            table[gpu["cuda"]]["minimum_driver"], table[gpu["cuda"]]["toolkit_driver"] = drivers
    for row in facts["cuda_compute_capability"]["rows"]:
        first, _, last = row["cuda"].partition("-")
        for version, cuda in table.items():
            if minor(first) and numbers(first) <= numbers(version) <= numbers(last or first):
                # "7.0-7.2" and the like: the newest.
                cuda.update(oldest=row["sass_min"], newest=row["sass_max"].rpartition("-")[2])
                cuda["sources"] += [n for n in sources.numbers(row["sources"]) if n not in cuda["sources"]]
    return table


def architectures(facts: dict[str, Any], sources: Sources) -> dict[str, dict[str, Any]]:
    """The generations of cards, by compute capability: the first CUDA and the last driver for each."""
    return {
        row["compute_capability"]: {
            "name": row["architecture"],
            "cards": row["example_cards"],
            "first_cuda": row["first_cuda"],
            # null: drivers still come.
            "last_driver": None if row["last_driver"] == "ongoing" else int(row["last_driver"].removeprefix("R")),
            "sources": sources.numbers(row["sources"]),
        }
        for row in facts["gpu_architectures"]
    }


def code(facts: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What was measured on the wheels, by the wheel's release."""
    wheels = {}
    for release in facts["tensorflow_images"]:
        if measured := (release["gpu"] or {}).get("compute_capability"):
            wheels[measured_release(measured)] = {
                "machine": " ".join(measured["sass"]),
                "ptx": " ".join(measured["ptx"]),
                "partly": " ".join(measured.get("only_in_some_kernels") or []),
                "wheel": measured["measured_on_wheel"],
            }
    return wheels


def measured_release(measured: dict[str, Any]) -> str:
    """The release whose wheel was measured."""
    wheel: str = measured["measured_on_wheel"]
    return wheel.split("-")[1]


def defect(notes: Iterable[str]) -> str | None:
    """The defect that the notes of a release tell of."""
    for name, known in DEFECTS.items():
        if any(re.search(known["note"], note) for note in notes):
            return name
    return None


def release(facts: dict[str, Any], sources: Sources) -> dict[str, Any]:
    """A release and its images."""
    version, gpu, published_by = facts["tensorflow"], facts["gpu"] or {}, facts["images_published_evidence"]
    measured = gpu.get("compute_capability")
    return {
        "published": facts["images_published"],
        "published_by": sources.numbers([published_by], version) if published_by else [],
        "cuda": gpu.get("cuda"),
        "cudnn": gpu.get("cudnn"),
        "code": measured_release(measured) if measured else None,
        "needs_libcuda": gpu.get("import_needs_libcuda_so_1"),
        "defect": defect(facts.get("notes") or []),
        "sources": sources.numbers(facts["sources"], version),
        "images": {
            tag: [variant[name] for name in ("device", "python", "jupyter", "workdir")]
            for variant in facts["variants"]
            for tag in variant["tags"]
        },
    }


def nvidia(row: dict[str, Any], sources: Sources) -> dict[str, Any]:
    """One of NVIDIA's own images."""
    return {
        "tensorflow": row["tensorflow"],
        "python": row["python"],
        "cuda": minor(row["cuda"]) if row["cuda"] else None,
        "cudnn": row["cudnn"],
        "minimum_driver": row["min_driver_linux"],
        "data_centre_drivers": row["data_center_gpu_drivers_also_ok"] or [],
        "oldest": row["compute_capability_min"],
        "jupyter": row["jupyter"],
        "workdir": row["workdir"],
        "sources": sources.numbers(row["sources"]),
    }


def since(facts: dict[str, Any], sources: Sources) -> dict[str, dict[str, Any]]:
    """From which release on something holds."""
    growth = facts["tf_force_gpu_allow_growth"]
    notes = {note for row in facts["tensorflow_images"] for note in row.get("notes") or []}
    avx = sorted({match[1] for note in notes if (match := re.search(AVX_NOTE, note))})
    return {
        "growth": {"tensorflow": growth["since"], "sources": sources.numbers(growth["sources"])},
        "avx": {
            "tensorflow": f"{avx[0]}.0" if avx else None,
            "sources": sources.numbers([f"tensorflow/tensorflow RELEASE.md {version}.0" for version in avx]),
        },
    }


def catalog(facts: dict[str, Any]) -> dict[str, Any]:
    """The catalog, from the facts."""
    sources = Sources()

    def named(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {
            name: {key: value for key, value in row.items() if key != "note"}
            | {"sources": sources.numbers(row["sources"])}
            for name, row in table.items()
        }

    made = {
        "made": facts["meta"]["made"],
        # The platform of every wheel, and so of every image.
        "architecture": "x86_64",
        "since": since(facts, sources),
        "cuda": cudas(facts, sources),
        "architectures": architectures(facts, sources),
        "reports": named(REPORTS),
        "defects": named(DEFECTS),
        "code": code(facts),
        "releases": {row["tensorflow"]: release(row, sources) for row in facts["tensorflow_images"]},
        "nvidia": {row["image"].rpartition(":")[2]: nvidia(row, sources) for row in facts["ngc_tf1_images"]},
        "sources": sources.all,
    }
    for wheel in made["code"].values():
        if not wheel["wheel"].endswith(f"{made['architecture']}.whl"):
            raise ValueError(f"{wheel['wheel']} is not for {made['architecture']}")
    return made


def flow(value: Any) -> str:
    """A value on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"))
        .removesuffix("...\n")
        .strip()
    )


def text(made: dict[str, Any]) -> str:
    """The catalog as YAML that people can read: a line per row."""
    lines = [HEAD.format(made=made["made"])]
    for name, table in made.items():
        if name == "releases":
            lines.append("releases:")
            for version, row in table.items():
                images = row["images"]
                head = flow({**row, "images": {}}).removesuffix("images: {}}")
                lines.append(f"  {flow(version)}: {head}images: {{" + ("" if images else "}}"))
                rows = [f"    {flow(tag)}: {flow(image)}" for tag, image in images.items()]
                lines += [",\n".join(rows) + "}}"] if rows else []
        elif isinstance(table, dict):
            lines.append(f"{name}:")
            lines += [f"  {flow(key)}: {flow(row)}" for key, row in table.items()]
        elif isinstance(table, list):
            lines.append(f"{name}:")
            lines += [f"- {flow(row)}" for row in table]
        else:
            lines.append(f"{name}: {flow(table)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the catalog."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("facts", type=Path, help="the file of facts, YAML")
    facts = yaml.safe_load(parser.parse_args().facts.read_text())
    made = catalog(facts)
    written = text(made)
    if yaml.safe_load(written) != made:
        raise ValueError("What was written does not read as it was meant.")
    CATALOG.write_text(written)
    images = sum(len(row["images"]) for row in made["releases"].values())
    print(f"{CATALOG.name}: {len(written)} bytes, {len(made['releases'])} releases, {images} images")


if __name__ == "__main__":
    main()
