"""Who of the staff is told what, how and how often, until somebody takes it."""
