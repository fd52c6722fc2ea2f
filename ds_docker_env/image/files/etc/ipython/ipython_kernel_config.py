# The ids in an SVG figure would be random.
c.InlineBackend.rc = {"svg.hashsalt": "always the same"}
