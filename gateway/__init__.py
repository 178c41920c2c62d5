"""What the providers share; DESIGN's rooms, one purpose a file. Imports point one way (tests/test_house.py)."""
