"""Production's file: its formats, its lines, its pins."""
