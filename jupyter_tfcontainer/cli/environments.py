"""Environments: ``list``, ``show``, ``create``, ``copy``, ``delete``, ``export``, ``import``."""

from __future__ import annotations

import argparse
import getpass
import json
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from ..compatibility import catalog, hardware, judge
from ..compatibility.records import Device, Image
from ..environments import lookup, preflight, store
from ..environments.environment import PROVISIONER, Environment
from ..environments.fields import READERS
from ..environments.from_catalog import offer
from ..environments.store import Change
from ..errors import EngineError, EnvironmentInvalid, EnvironmentNotFound, Incompatible
from .catalog import explain
from .commands import HELP
from .output import complain, dump, fields, home_relative, say, table

NO_JUPYTER = (
    "No Jupyter is inside, so most likely no ipykernel, and no kernel can run: make an image with `FROM {image}` and "
    "`RUN pip install ipykernel`."
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    _add_list(commands)
    _add_show(commands)
    _add_create(commands)

    copy = commands.add_parser(
        "copy",
        help=HELP["copy"],
        description="Copy an environment, whoever it is from, to one of your own, which you can change.",
    )
    copy.add_argument("name", metavar="NAME", help="name of the environment")
    copy.add_argument("new", metavar="NEW", help="name of the copy")
    copy.add_argument("--display-name", metavar="TEXT", help="as launchers show it (default: that of the other, copy)")
    copy.set_defaults(run=_copy)

    delete = commands.add_parser(
        "delete",
        help=HELP["delete"],
        description="Delete environments of your own. One that is not your own is hidden from launchers. What was "
        "installed in an environment's home stays.",
    )
    delete.add_argument("names", metavar="NAME", nargs="+", help="name of an environment")
    delete.set_defaults(run=_delete)

    export = commands.add_parser(
        "export",
        help=HELP["export"],
        description="Write all that makes up an environment as JSON, with the digest of its image where the engine "
        "knows it. Of secrets only the names are written.",
    )
    export.add_argument("name", metavar="NAME", help="name of the environment")
    export.add_argument("-o", "--output", metavar="FILE", type=Path, help="file to write (default: standard output)")
    export.set_defaults(run=_export)

    import_ = commands.add_parser(
        "import",
        help=HELP["import"],
        description="Make an environment from what `export` wrote.",
    )
    import_.add_argument("file", metavar="FILE", help="the file; - for standard input")
    import_.add_argument("--name", metavar="NAME", help="another name than the one it had")
    import_.add_argument("--pin", action="store_true", help="run the very image that was exported, by its digest")
    import_.set_defaults(run=_import)


def _add_list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "list",
        help=HELP["list"],
        description="List the environments: the kernelspecs whose kernels run in a container.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all fields")
    parser.set_defaults(run=_list)


def _add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "show",
        help=HELP["show"],
        description="Show all that is known of an environment, or of an image of the catalog, and whether it runs on "
        "this machine, with the reasons.",
    )
    parser.add_argument("name", metavar="NAME", help="name of an environment, or an image such as TAG or NAME:TAG")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_show)


def _add_create(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "create",
        help=HELP["create"],
        description="Make an environment of your own. It says which image it takes, and whether that runs on this "
        "machine; what cannot run here, or what the administrator does not allow, is refused.",
        epilog="Example: jupyter tfcontainer create 1.15.5 --gpu --set memory=8g",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("release", metavar="RELEASE", nargs="?", help="release of TensorFlow, such as 1.15.5")
    what.add_argument("--image", metavar="IMAGE", help="any image with Python and ipykernel")
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--gpu", dest="device", action="store_const", const="gpu", help="with all GPUs")
    device.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="without a GPU (default)")
    parser.add_argument("--python", metavar="VERSION", help="2, 3, or such as 3.6 (default: the newest there is)")
    parser.add_argument("--name", metavar="NAME", help="name of the environment (default: made from the rest)")
    parser.add_argument("--display-name", metavar="TEXT", help="as launchers show it")
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a field, as JSON or text: " + ", ".join(sorted(set(READERS) - {"image", "secrets"})),
    )
    parser.add_argument("--env", metavar="NAME=VALUE", action="append", default=[], help="a variable of the kernel")
    parser.add_argument(
        "--secret",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable whose value is asked for, and kept apart",
    )
    parser.add_argument("--force", action="store_true", help="make it even if it cannot run here, and let it try")
    parser.add_argument("--json", action="store_true", help="print the environment as JSON")
    parser.set_defaults(run=_create, usage=parser)


# What there is.


def _list(arguments: argparse.Namespace) -> int:
    models = store.models(KernelSpecManager())
    if arguments.json:
        dump(models)
        return 0
    if not models:
        complain("There is no environment. Make one: `jupyter tfcontainer create 1.15.5`.")
        return 0
    rows = []
    for one in models:
        notes = ["own"] if one["own"] else ["shared"]
        notes += ["hidden"] if one["hidden"] else []
        if "error" in one:
            rows.append((one["name"], one["display_name"], "(broken: see `show`)", "-", ", ".join(notes)))
        else:
            rows.append((one["name"], one["display_name"], one["image"], _gpus(one["gpus"]), ", ".join(notes)))
    table(("NAME", "SHOWN AS", "IMAGE", "GPUS", "OWNER"), rows, shrink=(2, 1, 0), ends=(2,))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    specs = KernelSpecManager()
    try:
        environment = lookup.find(arguments.name, specs)
    except EnvironmentNotFound:
        image = _image(arguments.name)
        if image is None:
            raise EnvironmentNotFound(
                f"There is neither an environment nor an image of the catalog named {arguments.name}. `jupyter "
                f"tfcontainer list` and `jupyter tfcontainer catalog` show what there is."
            ) from None
        judged = judge.judge(image, hardware.read(), catalog.load())
        if arguments.json:
            dump({**image.model(), "verdict": judged.model()})
        else:
            fields([*_image_fields(image), ("here", explain(judged))])
        return 0
    here = hardware.read()
    verdict = preflight.verdict(environment, here, platform.node())
    model = store.model(environment, specs)
    if arguments.json:
        dump({**model, "verdict": verdict.model() if verdict else None})
        return 0
    known = catalog.load().of_image(environment.image)
    details = [pair for pair in _image_fields(known) if pair[0] != "image"] if known else []
    spec = lookup.find_spec(environment.name, specs)
    # As it was said: a size that was "8g" is no number of bytes to whoever said it.
    asked = spec.metadata["kernel_provisioner"]["config"]
    other = {name: value for name, value in asked.items() if name not in ("image", "gpus")}
    fields(
        [
            ("name", environment.name),
            ("shown as", environment.display_name + (" (hidden from launchers)" if model["hidden"] else "")),
            ("owner", "you" if model["own"] else "shared: copy it to change it"),
            ("folder", home_relative(spec.resource_dir)),
            ("image", environment.image),
            *details,
            ("GPUs", _gpus(model["gpus"])),
            *((name, value if isinstance(value, str) else json.dumps(value)) for name, value in other.items()),
            *((("variables", ", ".join(model["env"])),) if model["env"] else ()),
            ("here", explain(verdict) if verdict else "not known: the image is not in the catalog"),
        ]
    )
    return 0


def _image(text: str) -> Image | None:
    """The image of the catalog that a reference or a tag names."""
    known = catalog.load()
    return known.of_image(text) or next((image for image in known.images if image.tag == text), None)


def _image_fields(image: Image) -> list[tuple[str, str]]:
    unknown = "not known"
    pairs = [
        ("image", image.reference()),
        ("TensorFlow", image.tensorflow or unknown),
        ("Python", image.python or (f"{image.python_major}" if image.python_major else unknown)),
        ("Jupyter", {True: "inside", False: "not inside", None: unknown}[image.jupyter]),
    ]
    if image.device == "gpu":
        minimum = image.model()["minimum_driver"]
        pairs += [
            ("CUDA", image.cuda.version if image.cuda else unknown),
            ("cuDNN", image.cudnn or unknown),
            ("driver", f"{minimum} or later" if minimum else unknown),
        ]
    return pairs


def _gpus(gpus: Any) -> str:
    return ", ".join(gpus) if isinstance(gpus, list | tuple) else str(gpus)


# Making them.


def _create(arguments: argparse.Namespace) -> int:
    device: Device = arguments.device or "cpu"
    config = _fields(arguments)
    if arguments.image:
        if arguments.python:
            arguments.usage.error("--python is for a release: an image has the Python that it has")
        known, reference = catalog.load().of_image(arguments.image), arguments.image
        name, display_name = _name(reference), reference
    else:
        found = offer(arguments.release, device, arguments.python)
        known, reference = found.image, found.image.reference()
        name, display_name = found.name, found.display_name
    config = {"image": reference, **({"gpus": "all"} if device == "gpu" else {}), **config}
    if arguments.force:
        config["compatibility"] = "ignore"
    name, display_name = arguments.name or name, arguments.display_name or display_name
    env = dict(_pair(one, "--env", arguments) for one in arguments.env)
    asked = _asked(name, display_name, config, env)
    _review(asked)
    verdict = preflight.verdict(asked, hardware.read(), platform.node())
    if not arguments.json:
        pairs = _image_fields(known) if known else [("image", reference)]
        fields([*pairs, ("here", explain(verdict) if verdict else "not known: the image is not in the catalog")])
        if known and known.jupyter is False:
            complain(NO_JUPYTER.format(image=reference))
    if verdict and verdict.word == "cannot" and not arguments.force:
        why = " ".join(reason.sentence for reason in verdict.reasons) if arguments.json else ""
        raise Incompatible(f"It cannot run here, so it was not made. {why} To make it all the same, add --force.")
    secrets = {one: _ask(one) for one in arguments.secret}
    specs = KernelSpecManager()
    environment = store.create(name, Change(display_name, config, env, secrets), specs)
    _made(environment, specs, arguments.json)
    return 0


def _asked(name: str, display_name: str, config: dict[str, Any], env: dict[str, str]) -> Environment:
    """What is to be made. What its fields say is read as in a kernelspec, so that errors name the field."""
    spec = {"metadata": {"kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config}}}
    return Environment.from_kernelspec(name, KernelSpec(display_name=display_name, env=env, **spec))


def _review(environment: Environment) -> None:
    """What the policy would refuse at each start is not made; where no engine answers, a start tells."""
    # Imported here, as below: it brings the engine's client, and `list` and `show` need none.
    from ..manager import ContainerManager

    with suppress(EngineError):
        ContainerManager.instance().admission.review(environment)


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for one in arguments.set:
        name, text = _pair(one, "--set", arguments)
        try:
            config[name] = json.loads(text)
        except ValueError:
            config[name] = text
    return config


def _pair(text: str, option: str, arguments: argparse.Namespace) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        arguments.usage.error(f"argument {option}: {text!r} must be NAME=VALUE")
    return name, value


def _ask(name: str) -> str:
    """The value of a secret, which is on no command line and on no screen."""
    return getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _name(reference: str) -> str:
    """A name for the environment of an image."""
    short = reference.partition("@")[0].rpartition("/")[2].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", short).strip(".-") or "image"


def _made(environment: Environment, specs: KernelSpecManager, as_json: bool) -> None:
    if as_json:
        dump(store.model(environment, specs))
    else:
        say(f"Made {environment.name}. It is in the launcher as “{environment.display_name}”.")


def _copy(arguments: argparse.Namespace) -> int:
    specs = KernelSpecManager()
    environment = store.copy(arguments.name, arguments.new, arguments.display_name, specs, _review)
    _made(environment, specs, as_json=False)
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    specs = KernelSpecManager()
    # All are found before the first is deleted: a mistake deletes none.
    for name in arguments.names:
        lookup.find_spec(name, specs)
    for name in dict.fromkeys(arguments.names):
        if store.delete(name, specs):
            say(f"Deleted {name}.")
        else:
            say(f"Hid {name} from launchers: it is not your own to delete.")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from ..manager import ContainerManager

    specs = KernelSpecManager()
    environment = lookup.find(arguments.name, specs)
    try:
        digest = store.digest(environment.image, ContainerManager.instance().engine.image(environment.image))
    except EngineError:
        digest = None
    text = json.dumps(store.export(arguments.name, digest, specs), indent=2)
    if arguments.output is None:
        say(text)
        return 0
    try:
        arguments.output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        complain(f"{arguments.output} cannot be written: {error.strerror}.")
        return 1
    return 0


def _import(arguments: argparse.Namespace) -> int:
    try:
        text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        complain(f"{arguments.file} cannot be read: {error.strerror}.")
        return 1
    except ValueError as error:
        raise EnvironmentInvalid(f"{arguments.file} is no exported environment: it is not JSON ({error}).") from error
    specs = KernelSpecManager()
    environment = store.import_(document, specs, name=arguments.name, pin=arguments.pin, review=_review)
    _made(environment, specs, as_json=False)
    return 0
