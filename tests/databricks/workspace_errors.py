"""Answers of the fake workspace."""

from __future__ import annotations

import json
from typing import Any

#: Status, body, headers.
Reply = tuple[int, bytes, dict[str, str]]


def reply(status: int, answer: dict[str, Any]) -> Reply:
    return status, json.dumps(answer).encode(), {"Content-Type": "application/json"}


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = reply(status, {"error_code": code, "message": message})


def bad(message: str) -> RefusedError:
    return RefusedError(400, "INVALID_PARAMETER_VALUE", message)


def missing(message: str, code: str = "RESOURCE_DOES_NOT_EXIST") -> RefusedError:
    return RefusedError(404, code, message)
