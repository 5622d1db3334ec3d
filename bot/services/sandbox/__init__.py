"""The carrier of a house without one: telephones in the browser, and people who answer them by themselves."""
