"""The report of a run as one HTML page: settings, curves, results, and retrieved clips."""
