"""The description of the REST interface says what the handlers do."""

from __future__ import annotations

import re
from typing import Any

import openapi
import pytest
from openapi_spec_validator import validate
from tornado.web import RequestHandler

from jupyter_tfcontainer.server.handlers import default_handlers

# What stands for the groups in the handlers' patterns.
PARAMETERS = {
    r"([0-9a-f]{64})": "{id}",
    r"([0-9a-f]{16})": "{operation}",
    r"([\w.-]+)": "{name}",
    r"([1-9]\d{0,4})": "{port}",
    "(.*)": "{path}",
}


def described() -> set[tuple[str, str]]:
    """Path and verb of each operation that the description has."""
    verbs = {"get", "head", "options", "post", "put", "patch", "delete"}
    return {(path, verb) for path, item in openapi.DOCUMENT["paths"].items() for verb in item.keys() & verbs}


def handled() -> set[tuple[str, str]]:
    """Path and verb of each operation that there is."""
    found = set()
    for pattern, handler in default_handlers:
        path = pattern
        for group, name in PARAMETERS.items():
            path = path.replace(group, name)
        assert "(" not in path, pattern
        for verb in map(str.lower, RequestHandler.SUPPORTED_METHODS):
            if any(verb in vars(base) for base in handler.__mro__ if base.__module__.startswith("jupyter_tfcontainer")):
                found.add((path, verb))
    return found


def test_it_is_a_valid_document() -> None:
    validate(openapi.DOCUMENT)


def test_every_operation_is_described_and_there() -> None:
    assert described() == handled()


def test_every_part_is_used() -> None:
    text = openapi.TEXT
    for kind, parts in openapi.DOCUMENT["components"].items():
        if kind != "securitySchemes":
            for name in parts:
                assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"


@pytest.mark.parametrize("path", [path for path in openapi.DOCUMENT["paths"] if "{" in path])
def test_parameters_of_paths_are_declared(path: str) -> None:
    item: dict[str, Any] = openapi.DOCUMENT["paths"][path]
    declared = [openapi.resolve(one)["name"] for one in item["parameters"]]
    assert declared == re.findall(r"\{(\w+)\}", path)


def test_an_answer_that_is_not_as_described_is_seen() -> None:
    openapi.check("GET", "api/tfcontainer/engine", 200, {"state": "missing", "message": "m", "reason": "r"})
    with pytest.raises(AssertionError):
        openapi.check("GET", "api/tfcontainer/engine", 200, {"state": "gone"})
    with pytest.raises(AssertionError):
        openapi.check("GET", "api/tfcontainer/engine", 404, {"state": "gone"})
