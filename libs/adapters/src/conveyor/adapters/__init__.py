"""Whom Conveyor talks to: Plane, Gitea, chat targets, agent CLIs."""
