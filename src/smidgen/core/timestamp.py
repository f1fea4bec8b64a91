"""A time that JSON has as seconds since 1970."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import PlainSerializer

Timestamp = Annotated[datetime, PlainSerializer(datetime.timestamp, return_type=float)]
