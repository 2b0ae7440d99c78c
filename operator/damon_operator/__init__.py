"""The operator: decides which pod has which priority on which node, and writes the plans."""
