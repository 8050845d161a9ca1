"""The other services as the loop sees them: dataclasses in and out, protobuf in between."""
