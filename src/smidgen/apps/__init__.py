"""Floor 2, its low layer: what an application needs besides a model: documents, retrieval, tools, channels.

Tasks, students, engines and flows use it. It knows no model: what it needs of one it is given as a function.
"""
