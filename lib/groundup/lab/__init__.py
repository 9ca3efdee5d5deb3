"""The workbench all parts share: errors, files, records, corpora, plots, the loop."""
