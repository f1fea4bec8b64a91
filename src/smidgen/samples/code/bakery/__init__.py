"""A bakery: recipes, stock, orders, baking plans, deliveries and the till. A sample project for the task complete."""
