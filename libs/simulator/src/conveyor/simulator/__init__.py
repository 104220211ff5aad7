"""Who pretends: Plane and Gitea servers with state behind real HTTP, and a scripted agent."""
