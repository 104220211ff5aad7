"""`conveyor doctor`: looks at both ends and says what is wrong and what to do. Each area is a function of its own."""
