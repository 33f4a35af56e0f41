"""The sample of flights, cleaned by a node of Kedro."""
