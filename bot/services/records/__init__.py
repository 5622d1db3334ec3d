"""What is kept, for how long, who may see, correct, take out or destroy it."""
