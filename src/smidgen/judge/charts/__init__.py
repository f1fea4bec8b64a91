"""Charts of a report as SVG text: no script, font or request. Colours come from the page's style sheet, so they follow light and dark."""
