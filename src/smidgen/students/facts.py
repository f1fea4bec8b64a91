"""The name of the file that says of a trained student what its weights do not."""

FACTS = "smidgen_student.json"
