"""An audit compared with the baseline."""
