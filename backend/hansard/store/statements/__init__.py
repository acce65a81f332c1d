"""Hold every statement the store sends, as SQLAlchemy Core expressions with named parameters.

All are constants, compiled once per database. All name the user first.
"""
