"""Follow-up plans (回访): what starts them, whom they owe what, lists brought in, what follows."""
