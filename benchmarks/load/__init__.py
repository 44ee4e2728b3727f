"""Load on the gateway by Locust: customers, stages that look for the knee, and a report."""
