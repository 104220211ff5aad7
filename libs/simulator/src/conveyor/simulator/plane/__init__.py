"""A Plane with state: REST v1 and webhooks as measured on v1.3.1, traps included, and verbs that a person would use."""
