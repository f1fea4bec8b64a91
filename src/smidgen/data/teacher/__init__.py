"""A larger model as a teacher: its questions, their cost, its answers, and which of them are believed."""
