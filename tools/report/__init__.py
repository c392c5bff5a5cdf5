"""One page that shows a run: what it was, how it went, what came out, what it finds alike."""
