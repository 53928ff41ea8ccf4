"""What functions of Python read from a text or from bytes: values that they accept, and the way back."""

from __future__ import annotations

import base64
import gzip
import json
import pickle  # writes values that a revision is going to read
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dormatory.sql.value_hints import HintValue

_MOMENT = datetime(2024, 7, 2, 10, 17)  # noqa: DTZ001  # as most columns hold it
# Functions that read whole documents, by their names without the package: the text for a document.
DOCUMENT_WRITERS: Mapping[str, Callable[[Any], HintValue]] = {
    "json.loads": json.dumps,
    "simplejson.loads": json.dumps,
    "orjson.loads": json.dumps,
    "ujson.loads": json.dumps,
    "yaml.safe_load": json.dumps,
    "ast.literal_eval": repr,
    "pickle.loads": pickle.dumps,
}
# Functions that unpack something: how to pack it.
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip.decompress": lambda content: gzip.compress(content, mtime=0),
    "zlib.decompress": zlib.compress,
    "base64.b64decode": base64.b64encode,
    "base64.decodebytes": base64.encodebytes,
}
# Functions that read one value: texts that they accept.
ACCEPTED_TEXTS: Mapping[str, tuple[str, ...]] = {
    "int": ("7", "12"),
    "float": ("1.5", "7"),
    "decimal.Decimal": ("1.50", "7"),
    "uuid.UUID": ("6f1c9b0e-3d57-4c3a-9e0b-2f5a8d7c4b11", "0b9d5c62-8e41-4f7a-a1c3-7d2e6b5f9a04"),
    "datetime.datetime.fromisoformat": ("2024-07-02T10:17:00", "2024-02-29"),
    "datetime.date.fromisoformat": ("2024-07-02", "2024-02-29"),
    "ipaddress.ip_address": ("10.0.0.1", "2001:db8::1"),
    "bytes.fromhex": ("00ff", ""),
}


def time_in_format(form: str) -> str:
    """Return a time as strptime reads it with a format."""
    return _MOMENT.strftime(form)
