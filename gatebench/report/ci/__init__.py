"""What CI reads: JSON, Markdown, JUnit XML and annotations. The JSON of `ab` comes first, everything else is made from it."""
