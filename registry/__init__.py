"""The registry of telemetry: what there is (weft.yaml), a checker, and the page that shows it."""
