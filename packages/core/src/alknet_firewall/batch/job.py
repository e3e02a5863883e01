"""What is to be screened, from where to where: plain values that go to every worker."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import Enum

from alknet_firewall.arguments import check_channel
from alknet_firewall.errors import DataError


class Format(str, Enum):
    """How rows are kept in files."""

    JSONL = "jsonl"
    JSONL_GZ = "jsonl.gz"
    CSV = "csv"
    PARQUET = "parquet"
    DATASETS = "datasets"
    """A folder that the library `datasets` saved; input only."""
    TEXT = "text"
    """A folder of files, each a text; input only."""

    @property
    def needs_arrow(self) -> bool:
        """Whether it takes the extra `[batch]`."""
        return self in (Format.PARQUET, Format.DATASETS)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be screened, from where to where.

    Attributes:
        inputs: Files and folders.
        output: A file `.jsonl`, `.jsonl.gz`, `.csv` or `.parquet`; without such a suffix a folder of parts.
        text_column: Name of the column that is screened.
        channel: Where the texts come from.
        channel_column: Name of the column that says so for each row; rows without it have `channel`. None: no such.
        id_column: Name of a column that is told of rows that are set aside; of folders of texts the column that holds
            the path of the file. None: none, and `path`.
        prefix: In front of the names of the columns that are added.
        input_format: None: by suffix and content.
        output_format: Of the parts in a folder; None: `parquet` of Parquet and `datasets`, otherwise `jsonl`.
        part_rows: Rows in a part at most. What a kill loses is a part for each worker.
    """

    inputs: tuple[str, ...]
    output: str
    text_column: str = "text"
    channel: str = "document"
    channel_column: str | None = None
    id_column: str | None = None
    prefix: str = ""
    input_format: Format | None = None
    output_format: Format | None = None
    part_rows: int = 1000

    def __post_init__(self) -> None:
        check_channel(self.channel)
        if self.part_rows < 1:
            raise ValueError(f"part_rows should be at least 1, not {self.part_rows}")
        if not self.inputs:
            raise ValueError("give at least one input")
        if self.output_format in (Format.DATASETS, Format.TEXT):
            raise ValueError(
                f"output_format should be jsonl, jsonl.gz, csv or parquet, not {self.output_format.value}"
            )

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns that the input must have."""
        names = (self.text_column, self.channel_column, self.id_column)
        return tuple(dict.fromkeys(name for name in names if name is not None))


def need_pyarrow(what: str) -> None:
    """Raises unless pyarrow is there.

    Raises:
        DataError: It is not; the message names the extra.
    """
    try:
        importlib.import_module("pyarrow")
    except ImportError as error:
        raise DataError(f'{what} takes pyarrow: pip install "alknet-firewall[batch]" ({error})') from error
