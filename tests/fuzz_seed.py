"""The seed of all generated input: the day, so that a failure repeats and another day tries other input.

`CONVERGIO_FUZZ_SEED` repeats that of another day.
"""

import os
from datetime import UTC, datetime

SEED = int(os.environ.get("CONVERGIO_FUZZ_SEED", datetime.now(UTC).date().toordinal()))
