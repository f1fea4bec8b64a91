"""Projects of the Studio: import and edit data, and run builds and other long work in processes of their own."""
