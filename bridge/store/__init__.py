"""The ledger database: schema, migrations, the group-committing writer, and the commands and queries on it.

A command is a function of a connection that checks first and writes second; a query only reads. Nothing here knows of
HTTP or of the chain's protocol: batches are bytes with a digest, blocks are numbers with a hash. SQLite is the embedded
back end; every statement is SQLAlchemy Core, so that another database can serve the same functions.
"""
