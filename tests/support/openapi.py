"""The description of the REST interface, and whether an answer is as it says."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator

TEXT = files("jupyter_tfcontainer.server").joinpath("openapi.yaml").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    while "$ref" in part:
        target: Any = DOCUMENT
        for key in part["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        part = target
    return part


def operation(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request asks for, or None if it is none of ours."""
    for pattern, item in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), f"/{path.lstrip('/')}"):
            found: dict[str, Any] | None = item.get(method.lower())
            return found
    return None


def check(method: str, path: str, status: int, model: object) -> None:
    """See that an answer of ours is as the description says."""
    found = operation(method, path)
    if found is None:
        return
    answers = found["responses"]
    assert str(status) in answers or status >= 400, f"{method} {path}: {status} is not described"
    answer = resolve(answers.get(str(status), answers["default"]))
    if "content" not in answer:
        assert model is None
        return
    schema = answer["content"]["application/json"]["schema"]
    errors = list(Draft202012Validator({"components": DOCUMENT["components"], "allOf": [schema]}).iter_errors(model))
    assert errors == [], f"{method} {path}: {errors[0].message[:500]}"
