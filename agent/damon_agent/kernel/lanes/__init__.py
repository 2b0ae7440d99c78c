"""The driver `lanes`: one kdamond for each priority of the node. The default, on every kernel."""
