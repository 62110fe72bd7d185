"""Tests of the embedded server, its clients and the files around it."""
