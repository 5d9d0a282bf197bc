"""Reading protobuf bytes by whole columns: no message object is ever made. Pure."""
