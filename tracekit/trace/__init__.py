"""What a recorded execution is: the schema, the columns, the native file."""
