"""How much generated input a property test tries.

`quick` is the default; `make test ARGS='-k machine --hypothesis-profile=long'` searches for hours' worth of luck.
"""

import os

from hypothesis import HealthCheck, settings

# Real databases answer in their own time, so no example has a deadline, and a slow one is no defect of the test.
# Module-wide fixtures are meant to be shared by examples, so sharing is no mistake either.
_COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
# A build must not fail by luck: there the examples are the same every time.
settings.register_profile("quick", parent=_COMMON, max_examples=100, derandomize="CI" in os.environ)
settings.register_profile("long", parent=_COMMON, max_examples=5000, stateful_step_count=100)
settings.load_profile("quick")
