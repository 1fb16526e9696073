"""The DAG that takes a remediation back."""
