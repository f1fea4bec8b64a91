"""The wing of the Studio: projects, their data, their builds and servers, in a browser."""
