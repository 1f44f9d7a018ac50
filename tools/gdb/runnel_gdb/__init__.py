"""Runnel's part of gdb; loaded by runnel-gdb.py."""
