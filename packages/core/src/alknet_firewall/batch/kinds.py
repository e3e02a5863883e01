"""Kinds of values in a column of rows that name no types, so that every part of a Parquet file has the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NULL, BOOL, INT, FLOAT, STRING, JSON = "null", "bool", "int", "float", "string", "json"
"""What a column holds; `json`: values of several kinds, or nested ones, which are written as JSON."""


def kind_of(value: object) -> str:
    """The kind of one value that came from JSON."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT if -(2**63) <= value < 2**63 else JSON
    if isinstance(value, float):
        return FLOAT
    return STRING if isinstance(value, str) else JSON


def joined_kind(one: str, other: str) -> str:
    """The kind that holds values of both."""
    if one == other or other == NULL:
        return one
    if one == NULL:
        return other
    return FLOAT if {one, other} == {INT, FLOAT} else JSON


def add_row(columns: dict[str, str], row: Mapping[str, Any]) -> None:
    """Takes a row into account."""
    for name, value in row.items():
        found = kind_of(value)
        columns[name] = joined_kind(columns[name], found) if name in columns else found


def joined_columns(files: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The columns of all files, in the order in which they appear."""
    columns: dict[str, str] = {}
    for file in files:
        for name, kind in file.items():
            columns[name] = joined_kind(columns[name], kind) if name in columns else kind
    return columns
