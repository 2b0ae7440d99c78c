"""The words that operator and agent share: names, quantities, API models, the priority map."""
