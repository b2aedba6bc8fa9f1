"""Extraction of text in processes that are bounded in time, memory and output."""

from domain.errors import Unavailable
from domain.knowledge.events import Kind
from domain.knowledge.ports import Extracted, ExtractionFailed
from domain.separate_process import NoFreeProcess, ProcessPool, WorkLimitExceeded, WorkLimits

LIMITS = WorkLimits(cpu_s=30.0, wait_s=120.0, memory=1024 * 2**20)
AT_ONCE = 1
"""Processes that read documents, in each process of the platform."""
_QUEUE_S = 600.0


class ProcessExtractor:
    """`domain.knowledge.ports.Extractor`. Nothing of a document is parsed in this process."""

    def __init__(self, limits: WorkLimits = LIMITS) -> None:
        self._processes = ProcessPool(limits, AT_ONCE, queue_s=_QUEUE_S)

    def extract(self, kind: Kind, content: bytes) -> Extracted:
        from adapters.documents.reading import Unreadable, read_document  # noqa: PLC0415  (its parsers need memory)

        try:
            return self._processes.run(read_document, kind, content)
        except Unreadable as fault:
            raise ExtractionFailed(fault.code, fault.message) from None
        except NoFreeProcess as busy:
            raise Unavailable("no process is free to read the document", retry_after=5) from busy
        except WorkLimitExceeded:
            message = "the document takes too much time or memory to be read"
            raise ExtractionFailed("TOO_EXPENSIVE", message) from None
