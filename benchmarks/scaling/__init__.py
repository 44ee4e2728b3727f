"""Report workers by demand, simulated: the sizer of report_runner beside KEDA and fixed sizes."""
