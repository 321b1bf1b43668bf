"""The graph: types, symbolic sizes, nodes, scopes and parameters, without knowledge of layers and backends."""
