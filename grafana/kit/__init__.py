"""What dashboards are made of: queries, panels, and the frame that all of them share."""
