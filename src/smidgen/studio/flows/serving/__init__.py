"""The server of a project's model: started and stopped, certified, watched."""
