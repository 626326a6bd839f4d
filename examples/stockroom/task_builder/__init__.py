"""Makes the tasks: seeded databases, programs from scenarios, wordings, effects."""
