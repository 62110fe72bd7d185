"""Raw files to TFRecords on Beam: read, validate, integrate, split, standardise, encode, write."""
