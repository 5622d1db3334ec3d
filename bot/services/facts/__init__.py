"""What the operator's own systems know: orders, stock, fixed answers, warranties."""
