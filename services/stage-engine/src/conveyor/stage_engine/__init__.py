"""Events in, transitions and commands out: four loops around one pure function.

decide (EVENTS to TASKS), relay (TASKS to COMMANDS), gates and effects (COMMANDS to events). Read first: core/decide.py.
"""
