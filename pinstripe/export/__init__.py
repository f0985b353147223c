"""Lists of the API written to files: JSON lines, CSV or Parquet."""

from pinstripe.export._export import ExportProgress, to_file

__all__ = ["ExportProgress", "to_file"]
