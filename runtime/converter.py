"""How values become payloads: by pydantic, as the SDK does it, with one converter for the whole process.

The SDK makes a new one for every run of a workflow and for each of its steps, and each learns the types anew that it
meets: a fifth of a worker's CPU time where runs are short.
"""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, PayloadConverter

_ONLY = PydanticPayloadConverter()


class OneConverter(PydanticPayloadConverter):
    """Whoever makes one gets the same. It has no state but what it has learnt of types."""

    def __new__(cls) -> PayloadConverter:  # type: ignore[misc]  # not of this class: the only one there is
        return _ONLY


data_converter = DataConverter(payload_converter_class=OneConverter)
