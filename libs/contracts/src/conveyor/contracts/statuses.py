"""The logical statuses a stage may show; the tracker's adapter knows each project's own names for them (SE-13)."""

STATUS_KEYS = (
    "to_analyse",
    "analysis",
    "architecture",
    "development",
    "code_review",
    "testing",
    "awaiting_deploy",
    "deploying",
    "monitoring",
    "in_progress",
    "in_review",
    "needs_input",
    "blocked",
    "approved",
    "rejected",
    "done",
    "cancelled",
    "backlog",
    "todo",
)
"""Every key there is; a key that a project lacks degrades to a base key of the same project."""
