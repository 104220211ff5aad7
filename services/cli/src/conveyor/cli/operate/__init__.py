"""Operators' commands: they ask and speak over the bus alone."""
