"""`conveyor demo`: one task from To Analyse to done against simulated Plane and Gitea."""
