"""The graph: types, values, scopes, parameters. This room knows no layer and no backend."""
