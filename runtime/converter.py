"""The payload converter: the SDK's pydantic converter, with one instance for the whole process.

The SDK creates a new one for every workflow execution and for each of its steps, and each learns the types anew: a
fifth of a worker's CPU time where executions are short.
"""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, PayloadConverter

_ONLY = PydanticPayloadConverter()


class SharedConverter(PydanticPayloadConverter):
    """Every instantiation returns the same instance. It has no state but its cached types."""

    def __new__(cls) -> PayloadConverter:  # type: ignore[misc]  # not of this class: the only one there is
        return _ONLY


data_converter = DataConverter(payload_converter_class=SharedConverter)
