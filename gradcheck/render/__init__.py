"""How a report is shown: as text, on a terminal, as JUnit XML, as a page with heat maps.

Nothing here is imported before something is shown.
"""
