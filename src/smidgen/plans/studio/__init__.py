"""The pages of plans in the Studio, and the tools by which a desk asks a plan."""
