"""Events in, transitions and commands out."""
