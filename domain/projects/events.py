"""Events of a project. Its stream is `project:<id>`, `project~<tenant>:<id>` outside the tenant `default`.

No event contains a text: `texts_hash` names a content whose owner is the stream's name.
"""

from domain.events import Event
from domain.projects.profile import ProjectPlan


class ProjectCreated(Event):
    """A project was created."""

    NAME = "project.created"

    project_id: int
    texts_hash: str
    plan: ProjectPlan


class ProjectUpdated(Event):
    """The fields named in `fields` changed. The other values are those that are valid from now on."""

    NAME = "project.updated"

    project_id: int
    fields: tuple[str, ...]
    texts_hash: str
    plan: ProjectPlan


class ProjectDeleted(Event):
    """The project is hidden from now on. Its history remains, and so do calls and runs that name it."""

    NAME = "project.deleted"

    project_id: int


class ProjectErased(Event):
    """All texts about the project are removed, in every version. It is hidden from now on."""

    NAME = "project.erased"

    project_id: int


ProjectEvent = ProjectCreated | ProjectUpdated | ProjectDeleted | ProjectErased
EVENTS = (ProjectCreated, ProjectUpdated, ProjectDeleted, ProjectErased)
