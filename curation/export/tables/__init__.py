"""``tables/``: a dataset as tidy CSV with a codebook, for R and pandas."""

from curation.export.tables.columns import TABLES, Column, Table
from curation.export.tables.writer import TABLES_FOLDER, TablesWriter, write_tables

__all__ = ["TABLES", "TABLES_FOLDER", "Column", "Table", "TablesWriter", "write_tables"]
