"""What this machine has: its processor, NVIDIA's driver, the cards.

The driver is asked through its own library (NVML), by NVIDIA's bindings. Either may be missing.
"""

from __future__ import annotations

import ctypes
import platform
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from .judge import Card, Machine

LIBRARY = "libnvidia-ml.so.1"
# Is there while the driver's module is loaded, and says its version.
MODULE = Path("/proc/driver/nvidia/version")
PROCESSOR = Path("/proc/cpuinfo")

# NVML's errors (`nvmlReturn_t` in nvml.h) that have a cure of their own. `{what}` is the cards or one of them.
PROBLEMS = {
    "NVML_ERROR_DRIVER_NOT_LOADED": (
        "NVIDIA's driver is installed on {machine}, but not loaded. Load it: `sudo modprobe nvidia`. If that fails, "
        "`sudo dmesg` says why; after an update of the kernel, install the driver again and reboot."
    ),
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": (
        "On {machine}, the libraries of NVIDIA's driver and its module in the kernel{loaded} have different versions, "
        "as after an update. Reboot, or reload the module: `sudo modprobe -r nvidia_drm nvidia_uvm nvidia`, then "
        "`sudo modprobe nvidia`, and start this program again."
    ),
    "NVML_ERROR_NO_PERMISSION": (
        "You may not use {what} on {machine}. Ask its administrator for the right to read and write /dev/nvidia*; "
        "`ls -l /dev/nvidia*` shows which group has it."
    ),
    "NVML_ERROR_LIBRARY_NOT_FOUND": (
        "On {machine}, NVIDIA's driver is loaded{loaded}, but its library {library} is not found. Install it in that "
        "version (package libnvidia-ml1 or libnvidia-compute on Debian and Ubuntu); if this program runs in a "
        "container, start that with the GPUs."
    ),
    "NVML_ERROR_FUNCTION_NOT_FOUND": (
        "NVIDIA's driver{loaded} on {machine} is too old to tell what its cards can do. Install a newer one: NVIDIA's "
        "container toolkit needs 418.81.07 or later."
    ),
    "NVML_ERROR_GPU_IS_LOST": (
        "On {machine}, {what} is lost: it has fallen off the bus. Reboot. If it happens again, see to its power and "
        "its cooling; `sudo dmesg` has more (Xid)."
    ),
}
OTHER_PROBLEM = (
    "On {machine}, {what} cannot be read; NVIDIA's driver says: “{error}”. See whether `nvidia-smi` works there: if it "
    "does not, reboot, or install the driver again."
)
NO_BINDINGS = (
    "NVIDIA's driver is loaded on {machine}{loaded}, but its cards cannot be read: the package nvidia-ml-py is "
    "missing. Install it: `pip install nvidia-ml-py`."
)

_lock = threading.Lock()
_kept: list[Machine] = []


def read(*, refresh: bool = False) -> Machine:
    """What the machine that this program runs on has.

    An engine may run elsewhere (``DOCKER_HOST`` with ``tcp://`` or ``ssh://``): its cards are not these.

    Parameters
    ----------
    refresh
        Ask the driver again. Else an answer that has cards and no problem is kept, because a driver without
        persistence mode wakes each card for it, which takes seconds. Any other answer is quick, and may change.
    """
    with _lock:
        if refresh:
            _kept.clear()
        if _kept:
            return _kept[0]
        driver, cards, problem = _nvidia()
        machine = Machine(platform.machine(), _avx(), driver, cards, problem)
        if cards and not problem:
            _kept.append(machine)
        return machine


def _avx() -> bool | None:
    """Whether the processor has AVX; the kernel of one that is no x86 has no such line."""
    with suppress(OSError), PROCESSOR.open() as lines:
        for line in lines:
            name, _, flags = line.partition(":")
            if name.strip() == "flags":
                return "avx" in flags.split()
    return None


def _nvidia() -> tuple[str | None, tuple[Card, ...], str | None]:
    """The driver, the cards, and what keeps us from them."""
    try:
        # Here, because it may be missing, and takes a while where nobody asks.
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        loaded = _loaded()
        return loaded, (), NO_BINDINGS.format(machine=platform.node(), loaded=_in_words(loaded)) if loaded else None
    try:
        _initialise(pynvml)
    except pynvml.NVMLError as error:
        loaded = _loaded()
        if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND and not loaded:
            return None, (), None
        return loaded, (), _problem(pynvml, error, "the cards", loaded)
    try:
        return _ask(pynvml)
    finally:
        # What was read stands.
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def driver() -> Any:
    """NVIDIA's bindings, for who asks more of the driver, and calls ``nvmlShutdown`` in the end; None without one."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        _initialise(pynvml)
    except pynvml.NVMLError:
        return None
    return pynvml


def _initialise(pynvml: Any) -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_FunctionNotFound:
        # Old drivers (367 is one) have only this function, which the bindings no longer call.
        initialise = getattr(ctypes.CDLL(LIBRARY), "nvmlInit_v2", None)
        if initialise is None:
            raise
        if code := initialise():
            raise pynvml.NVMLError(code) from None


def _ask(pynvml: Any) -> tuple[str | None, tuple[Card, ...], str | None]:
    """Ask a driver that answers. A card that does not must not hide the others."""
    driver = None
    cards: list[Card] = []
    problems: list[str] = []
    try:
        driver = text(pynvml.nvmlSystemGetDriverVersion())
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        driver = driver or _loaded()
        return driver, (), _problem(pynvml, error, "the cards", driver)
    for index in range(count):
        try:
            cards.append(_card(pynvml, index))
        except pynvml.NVMLError as error:
            problems.append(_problem(pynvml, error, f"GPU {index}", driver))
    # A driver that is too old says the same of each.
    return driver, tuple(cards), " ".join(dict.fromkeys(problems)) or None


def _card(pynvml: Any, index: int) -> Card:
    card = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Card(
        index=index,
        uuid=text(pynvml.nvmlDeviceGetUUID(card)),
        name=text(pynvml.nvmlDeviceGetName(card)),
        compute_capability=pynvml.nvmlDeviceGetCudaComputeCapability(card),
        memory=pynvml.nvmlDeviceGetMemoryInfo(card).total,
    )


def text(value: str | bytes) -> str:
    """Text of NVML's: bytes from bindings before 11.515."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _problem(pynvml: Any, error: Any, what: str, driver: str | None) -> str:
    known = (sentence for name, sentence in PROBLEMS.items() if error.value == getattr(pynvml, name))
    return next(known, OTHER_PROBLEM).format(
        machine=platform.node(), what=what, loaded=_in_words(driver), library=LIBRARY, error=error
    )


def _loaded() -> str | None:
    """The version of the driver's module that is loaded, by the kernel's word."""
    with suppress(OSError):
        # `NVRM version: NVIDIA UNIX x86_64 Kernel Module  367.57  Mon Oct  3 …`, or `Open Kernel Module for x86_64  …`
        if match := re.search(r"Kernel Module.*? (\d+(?:\.\d+)+) ", MODULE.read_text()):
            return match[1]
    return None


def _in_words(driver: str | None) -> str:
    return f" ({driver})" if driver else ""
