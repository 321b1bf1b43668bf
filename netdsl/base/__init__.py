"""What every room uses: source text, diagnostics, files, the terminal, tables, processes, optional packages."""
