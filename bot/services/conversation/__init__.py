"""A message in, a turn, what is said: the conversation with the bot, on whatever channel."""
