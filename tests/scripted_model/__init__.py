"""A model provider that does what it is told: real HTTP in the OpenAI protocol, a script, and a bill of its own.

`python -m tests.scripted_model --port 0` runs it as a process; `start_scripted_model()` does so for a test.
"""

from tests.scripted_model.client import ScriptedModel, start_scripted_model

__all__ = ["ScriptedModel", "start_scripted_model"]
