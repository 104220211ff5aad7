"""Gates: named checks that read facts (the forge at one commit, the tracker, a run's report), never an agent's word."""
